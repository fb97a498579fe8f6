;;; lacuna.el --- Ghost text from the Lacuna language server -*- lexical-binding: t; -*-

;; Version: 0.1.0
;; Package-Requires: ((emacs "29.1"))
;; SPDX-License-Identifier: Apache-2.0

;;; Commentary:

;; `lacuna-mode' shows what belongs at point after it, in grey, and a key takes it: all of it, a word or a line.
;; It asks eglot's connection where that is Lacuna's, and a server of its own elsewhere: then eglot or lsp-mode may serve
;; the buffer with whatever they like.  `lacuna-contact' and `lacuna-beside' are for `eglot-server-programs',
;; `lacuna-lsp-setup' is for lsp-mode.
;;
;; Nothing here knows what a completion is about.  An answer counts only for the text and the place it was asked for.

;;; Code:

(require 'cl-lib)
(require 'eglot)
(require 'jsonrpc)
(require 'subr-x)

(defgroup lacuna nil "Gaps in code, filled." :group 'tools)

(defcustom lacuna-command nil
  "How the server is started, a list of strings.
When nil: `lacuna --stdio' where that is installed, else the server in
the checkout or package that this file came with."
  :type '(choice (const nil) (repeat string)))

(defcustom lacuna-settings nil
  "The server's settings, a plist such as (:showAbove 0.3 :maxTokens 32).
False is :json-false."
  :type 'plist)

(defcustom lacuna-delay 0.15
  "Seconds to rest after a change before ghost text is asked for.
With nil it is asked for by `lacuna-complete' only."
  :type '(choice number (const nil)))

(defcustom lacuna-menu nil
  "Whether Lacuna completes in the menu too, where eglot or lsp-mode starts it.
Its text would be shown twice, in the menu and after point."
  :type 'boolean)

(defface lacuna-ghost '((t :inherit shadow)) "Ghost text.")

(defvar lacuna--file (or load-file-name buffer-file-name))
(defvar lacuna-mode)

;;;; How the server is started

(defun lacuna-server-command ()
  "The server's command, a list of strings."
  (let ((main (expand-file-name "../../../dist/main.js" (file-truename lacuna--file))))
    (cond (lacuna-command)
          ((executable-find "lacuna") (list "lacuna" "--stdio"))
          ((file-exists-p main) (list "node" main "--stdio"))
          (t (list "lacuna" "--stdio")))))

(defun lacuna--options (menu &optional alone)
  "Initialization options; MENU says whether the server completes in the menu.
With ALONE no other server's words wait for its answer."
  ;; Emacs waits without blocking, so the whole line a little later is worth more than half of it in time.
  (list :lacuna (append lacuna-settings
                        (list :completion (if menu t :json-false) :inlineBudgetMs 5000)
                        ;; Asked for by hand, Emacs asks once, and says "No match" where the answer is not there yet.
                        (when alone (list :completionBudgetMs 1000)))))

(defun lacuna-contact ()
  "For `eglot-server-programs': Lacuna alone."
  (append '(lacuna-eglot-server) (lacuna-server-command) (list :initializationOptions (lacuna--options lacuna-menu t))))

(defun lacuna-beside (&rest command)
  "For `eglot-server-programs': Lacuna's menu beside another server.
COMMAND starts that one; rass makes one of both.  The other one comes
first: it is asked for all that rass asks one server for."
  (append '("rass" "--") command '("--") (lacuna-server-command)
          (list :initializationOptions (lacuna--options t))))

(declare-function lsp-register-client "lsp-mode")
(declare-function make-lsp-client "lsp-mode")
(declare-function lsp-stdio-connection "lsp-mode")
(defvar lsp-language-id-configuration)

(defun lacuna-lsp-setup ()
  "Have lsp-mode start Lacuna in programming modes, beside what serves there."
  (require 'lsp-mode)
  (lsp-register-client
   (make-lsp-client :new-connection (lsp-stdio-connection #'lacuna-server-command)
                    :activation-fn (lambda (&rest _) (derived-mode-p 'prog-mode))
                    :add-on? t :priority -2 :multi-root t :completion-in-comments? t
                    :initialization-options (lambda () (lacuna--options lacuna-menu))
                    :server-id 'lacuna)))

;;;; How the server is, in the mode line

(defvar lacuna--status nil "As the server last told it: a plist of :busy, :kind and :message.")

(defun lacuna--status-told (status)
  "Keep STATUS for the mode line."
  (setq lacuna--status status)
  (force-mode-line-update t))

(defun lacuna-lighter ()
  "What `lacuna-mode' has in the mode line; the server's words come with the mouse."
  (let* ((kind (plist-get lacuna--status :kind))
         (mark (cond ((equal kind "Error") "!") ((equal kind "Warning") "?") ((equal kind "Inactive") "-")
                     ((eq (plist-get lacuna--status :busy) t) "…") (t ""))))
    (propertize (concat " Lacuna" mark) 'help-echo (plist-get lacuna--status :message))))

;; Known to eglot by a class of its own, since others' servers need not tell.
(defclass lacuna-eglot-server (eglot-lsp-server) () :documentation "Lacuna, as eglot's server.")

(cl-defmethod eglot-client-capabilities ((_server lacuna-eglot-server))
  (plist-put (cl-call-next-method) :experimental '(:didChangeStatus t)))

(cl-defmethod eglot-handle-notification
  ((_server lacuna-eglot-server) (_method (eql didChangeStatus)) &rest status)
  (lacuna--status-told status))

;;;; A connection: eglot's, or our own

(defvar lacuna--own nil "Our own connection, or nil.")
(defvar lacuna--ready nil "Whether our own connection is initialized.")
(defvar lacuna--early nil "The buffer that asked before it was.")
(defvar-local lacuna--opened nil "The connection that this buffer was opened on.")
(defvar-local lacuna--version 0)
(defvar-local lacuna--sent-tick nil "`buffer-chars-modified-tick' of what our own connection knows.")

(defun lacuna--eglot ()
  "Eglot's connection in this buffer where Lacuna is at its other end.
Behind rass it is not: that passes ghost text on from nobody."
  (when-let* ((server (and (eglot-managed-p) (eglot-current-server))))
    (and (equal (process-command (jsonrpc--process server)) (lacuna-server-command)) server)))

(defun lacuna--connect ()
  "Start our own server; answers nothing before it is initialized."
  (let* ((command (lacuna-server-command))
         (connection
          (make-instance 'jsonrpc-process-connection
                         :name "lacuna"
                         :events-buffer-config '(:size 0 :format short)
                         :request-dispatcher (lambda (_ method params) (lacuna--asked method params))
                         :notification-dispatcher (lambda (_ method params) (lacuna--told method params))
                         :on-shutdown (lambda (gone) (when (eq gone lacuna--own) (setq lacuna--own nil lacuna--ready nil lacuna--status nil)))
                         :process (lambda ()
                                    (make-process :name "lacuna" :command command :connection-type 'pipe
                                                  :coding 'utf-8-emacs-unix :noquery t
                                                  :stderr (get-buffer-create " *lacuna stderr*"))))))
    (setq lacuna--own connection lacuna--ready nil)
    (jsonrpc-async-request
     connection :initialize
     (list :processId (emacs-pid) :rootUri nil :clientInfo (list :name "lacuna.el" :version emacs-version)
           :capabilities '(:general (:positionEncodings ["utf-16"]) :experimental (:didChangeStatus t)
                           :textDocument (:inlineCompletion (:dynamicRegistration :json-false)))
           :initializationOptions (lacuna--options nil))
     :success-fn (lambda (_)
                   (jsonrpc-notify connection :initialized eglot--{})
                   (setq lacuna--ready t)
                   (when (buffer-live-p lacuna--early)
                     (with-current-buffer lacuna--early (when lacuna-mode (lacuna--schedule)))))
     :error-fn (lambda (failure) (message "Lacuna: %s" (plist-get failure :message)))
     :timeout-fn #'ignore)))

(defun lacuna--asked (_method _params) "Answer what the server asks: nothing." nil)

(defun lacuna--told (method params)
  "Show what the server wants shown."
  (when (eq method 'didChangeStatus) (lacuna--status-told params))
  (when (eq method 'window/showMessage) (message "Lacuna: %s" (plist-get params :message))))

(defun lacuna-stop ()
  "Stop Lacuna's own server."
  (interactive)
  (when lacuna--own
    (ignore-errors (jsonrpc-request lacuna--own :shutdown nil :timeout 2))
    (ignore-errors (jsonrpc-notify lacuna--own :exit nil))
    (jsonrpc-shutdown lacuna--own)))

(defun lacuna--identifier ()
  "This buffer, as our own connection knows it."
  (list :uri (if buffer-file-name (eglot-path-to-uri buffer-file-name) (format "untitled:%s" (url-hexify-string (buffer-name))))))

(defun lacuna--language ()
  "The protocol's word for the major mode."
  (let ((name (string-remove-suffix "-ts" (string-remove-suffix "-mode" (symbol-name major-mode)))))
    (alist-get name '(("c++" . "cpp") ("js" . "javascript") ("js-jsx" . "javascriptreact")
                      ("js2" . "javascript") ("tsx" . "typescriptreact") ("sh" . "shellscript") ("bash" . "shellscript"))
               name nil #'equal)))

(defun lacuna--text ()
  (save-restriction (widen) (buffer-substring-no-properties (point-min) (point-max))))

(defun lacuna--sync ()
  "Tell our own connection what is in the buffer."
  (cond ((not (eq lacuna--opened lacuna--own))
         (setq lacuna--opened lacuna--own)
         (jsonrpc-notify lacuna--own :textDocument/didOpen
                         (list :textDocument
                               (append (lacuna--identifier)
                                       (list :languageId (lacuna--language) :version lacuna--version
                                             :text (lacuna--text))))))
        ((not (eql lacuna--sent-tick (buffer-chars-modified-tick)))
         (jsonrpc-notify lacuna--own :textDocument/didChange
                         (list :textDocument (append (lacuna--identifier) (list :version (cl-incf lacuna--version)))
                               :contentChanges (vector (list :text (lacuna--text)))))))
  (setq lacuna--sent-tick (buffer-chars-modified-tick)))

(defun lacuna--forget ()
  "Close this buffer on our own connection."
  (when (and lacuna--own (eq lacuna--opened lacuna--own))
    (jsonrpc-notify lacuna--own :textDocument/didClose (list :textDocument (lacuna--identifier))))
  (setq lacuna--opened nil))

(defun lacuna--managed ()
  "Eglot has come to this buffer, or has gone: with Lacuna one server is enough."
  (when (and lacuna-mode (lacuna--eglot))
    (lacuna--forget)
    (when (and lacuna--own
               (not (seq-some (lambda (buffer) (buffer-local-value 'lacuna--opened buffer)) (buffer-list))))
      (lacuna-stop))))

(defun lacuna--warm-up (buffer)
  "Start our own server for BUFFER where it will be wanted, so that the model is there.
In *scratch* it may never be, and eglot's is enough for all the files."
  (when (buffer-live-p buffer)
    (with-current-buffer buffer
      (unless (or (not buffer-file-name) lacuna--own (not lacuna-mode) (lacuna--eglot)) (lacuna--connect)))))

(defun lacuna--connection ()
  "A connection that knows this buffer as it is now, and its name there.
Nil when there is none yet."
  (if-let* ((server (lacuna--eglot)))
      (progn (eglot--signal-textDocument/didChange)
             (cons server (eglot--TextDocumentIdentifier)))
    (unless (and lacuna--own (jsonrpc-running-p lacuna--own)) (lacuna--connect))
    (if (not lacuna--ready)
        (progn (setq lacuna--early (current-buffer)) nil)
      (lacuna--sync)
      (cons lacuna--own (lacuna--identifier)))))

;;;; Places: lines from 0, columns in UTF-16 units

(defun lacuna--place ()
  "Point, as the protocol counts."
  (save-restriction
    (widen)
    (let ((start (pos-bol)))
      (list :line (1- (line-number-at-pos nil t))
            :character (cl-loop for at from start below (point) sum (if (> (char-after at) #xffff) 2 1))))))

(defun lacuna--position (place)
  "The position in the buffer that PLACE means."
  (save-excursion
    (save-restriction
      (widen)
      (goto-char (point-min))
      (forward-line (plist-get place :line))
      (let ((units (plist-get place :character)))
        (while (and (> units 0) (not (eolp)))
          (cl-decf units (if (> (char-after) #xffff) 2 1))
          (forward-char)))
      (point))))

;;;; Ghost text

(cl-defstruct (lacuna--ghost (:constructor lacuna--make-ghost))
  items  ; what the server offered, of (TEXT START END); END a marker
  index  ; the one that is shown
  overlay)

(defvar-local lacuna--ghost nil "What is shown, or nil.")
(defvar-local lacuna--tick nil "`buffer-chars-modified-tick' after the last command.")
(defvar-local lacuna--timer nil)
(defvar-local lacuna--serial 0 "Of the newest request.")
(defvar-local lacuna--waiting nil "Whether the newest request is not answered.")

(defvar lacuna-ghost-map
  (let ((map (make-sparse-keymap)))
    (define-key map (kbd "TAB") #'lacuna-accept)
    (define-key map (kbd "<tab>") #'lacuna-accept)
    (define-key map (kbd "M-f") #'lacuna-accept-word)
    (define-key map (kbd "C-e") #'lacuna-accept-line)
    (define-key map (kbd "M-n") #'lacuna-next)
    (define-key map (kbd "M-p") #'lacuna-previous)
    (define-key map (kbd "C-g") #'lacuna-dismiss)
    map)
  "Keys while ghost text is shown; elsewhere they are what they were.")

(defvar-local lacuna--shown nil "Whether `lacuna-ghost-map' is in force.")
(defvar lacuna--maps (list (cons 'lacuna--shown lacuna-ghost-map)))
(add-to-list 'emulation-mode-map-alists 'lacuna--maps)

(defvar company-candidates)

(defun lacuna--menu-p ()
  "Whether a menu is open: company's, corfu's or Emacs' own."
  (or completion-in-region-mode (bound-and-true-p company-candidates)))

(defun lacuna--rest ()
  "What of the item in turn is not in the buffer.
Nil when it no longer fits what was typed."
  (when lacuna--ghost
    (pcase-let ((`(,text ,start ,end ,after) (nth (lacuna--ghost-index lacuna--ghost) (lacuna--ghost-items lacuna--ghost))))
      (and (<= start (point) end)
           (equal after (buffer-substring-no-properties (point) end))
           (let ((typed (buffer-substring-no-properties start (point))))
             (and (string-prefix-p typed text) (> (length text) (length typed))
                  (substring text (length typed))))))))

(defun lacuna--end () (nth 2 (nth (lacuna--ghost-index lacuna--ghost) (lacuna--ghost-items lacuna--ghost))))

(defun lacuna--draw ()
  "Show the item in turn, or nothing when it does not fit."
  (let ((rest (lacuna--rest)))
    (if (or (null rest) (lacuna--menu-p))
        (lacuna-clear)
      (let* ((overlay (or (lacuna--ghost-overlay lacuna--ghost)
                          (setf (lacuna--ghost-overlay lacuna--ghost) (make-overlay (point) (point) nil nil t))))
             (end (marker-position (lacuna--end)))
             (shown (propertize rest 'face 'lacuna-ghost)))
        (put-text-property 0 1 'cursor t shown)
        (move-overlay overlay (point) end)
        ;; What the item replaces is shown as part of it.
        (overlay-put overlay 'display (and (< (point) end) ""))
        (overlay-put overlay (if (< (point) end) 'after-string 'before-string) nil)
        (overlay-put overlay (if (< (point) end) 'before-string 'after-string) shown)
        (setq lacuna--shown t)))))

(defun lacuna-clear ()
  "Show no ghost text."
  (when lacuna--ghost
    (when-let* ((overlay (lacuna--ghost-overlay lacuna--ghost))) (delete-overlay overlay))
    (dolist (item (lacuna--ghost-items lacuna--ghost)) (set-marker (nth 2 item) nil)))
  (setq lacuna--ghost nil lacuna--shown nil))

(defun lacuna--cancel ()
  "Let whatever is answered from now on be for nobody.
The server drops a request for the next one by itself."
  (when (timerp lacuna--timer) (cancel-timer lacuna--timer))
  (setq lacuna--timer nil lacuna--waiting nil)
  (cl-incf lacuna--serial))

(defun lacuna--schedule ()
  "Ask once typing rests."
  (lacuna--cancel)
  (when lacuna-delay
    (let ((buffer (current-buffer)))
      (setq lacuna--timer
            (run-with-timer lacuna-delay nil
                            (lambda ()
                              (when (and (buffer-live-p buffer) (eq buffer (window-buffer)))
                                (with-current-buffer buffer (when lacuna-mode (lacuna--ask nil #'lacuna--draw))))))))))

(defun lacuna--ask (invoked then &optional tries)
  "Ask for ghost text at point; with INVOKED for several.
THEN is called once they are in `lacuna--ghost'.  What takes longer than
its budget is asked for again, TRIES times."
  (setq tries (or tries 10))
  (unless (or buffer-read-only (and (not invoked) (lacuna--menu-p)))
    (when-let* ((known (lacuna--connection)))
      (lacuna--cancel)
      (let* ((buffer (current-buffer))
             (at (point))
             (tick (buffer-chars-modified-tick))
             (serial lacuna--serial)
             (answered
              (lambda (&optional answer)
                (when (buffer-live-p buffer)
                  (with-current-buffer buffer
                    (when (eql serial lacuna--serial)
                      (setq lacuna--waiting nil)
                      ;; For another text or place it would be wrong.
                      (when (and lacuna-mode (eql at (point))
                                 (eql tick (buffer-chars-modified-tick)))
                        (cond (answer (lacuna--take answer) (funcall then))
                              ;; Not yet: the model is still being loaded, or needs longer than its budget.
                              ((> tries 0) (lacuna--ask invoked then (1- tries)))))))))))
        (setq lacuna--waiting t)
        (jsonrpc-async-request
         (car known) :textDocument/inlineCompletion
         (list :textDocument (cdr known) :position (lacuna--place)
               :context (list :triggerKind (if invoked 1 2)))
         :success-fn answered
         ;; Superseded, or too late: what is shown stays.
         :error-fn (lambda (_) (funcall answered))
         :timeout 60
         :timeout-fn (lambda () (funcall answered)))))))

(defun lacuna--take (answer)
  "Keep the items of ANSWER, in place of those that are shown."
  (lacuna-clear)
  (let ((items (append (if (vectorp answer) answer (plist-get answer :items)) nil)))
    (when items
      (setq lacuna--ghost
            (lacuna--make-ghost
             :index 0
             :items (mapcar (lambda (item)
                              (let* ((range (plist-get item :range))
                                     (start (if range (lacuna--position (plist-get range :start)) (point)))
                                     (end (if range (lacuna--position (plist-get range :end)) (point))))
                                (list (plist-get item :insertText) start (copy-marker end t)
                                      (buffer-substring-no-properties (min (point) end) end))))
                            items))))))

(defun lacuna--after-command ()
  "Keep what was typed along; clear all else, and ask anew after a change."
  (let ((changed (not (eql lacuna--tick (buffer-chars-modified-tick)))))
    (setq lacuna--tick (buffer-chars-modified-tick))
    (cond ((lacuna--rest) (lacuna--draw))
          (changed (lacuna-clear) (lacuna--schedule))
          (t (lacuna-clear)))))

;;;; Commands

(defun lacuna--insert (text whole)
  "Put TEXT, the beginning of the ghost text, before point.
With WHOLE take away what it replaces."
  (undo-boundary)
  (let ((end (marker-position (lacuna--end))))
    (when (and whole (< (point) end)) (delete-region (point) end))
    (insert text))
  (if whole (lacuna-clear) (lacuna--draw)))

(defun lacuna-accept ()
  "Take the ghost text."
  (interactive)
  (when-let* ((rest (lacuna--rest))) (lacuna--insert rest t)))

(defun lacuna--accept-up-to (pattern)
  (when-let* ((rest (lacuna--rest)))
    (string-match pattern rest)
    (let ((part (substring rest 0 (max 1 (match-end 0)))))
      (lacuna--insert part (equal part rest)))))

(defun lacuna-accept-word ()
  "Take the ghost text up to the end of its first word."
  (interactive)
  (lacuna--accept-up-to "\\`[^[:alnum:]_]*[[:alnum:]_]*"))

(defun lacuna-accept-line ()
  "Take the ghost text up to the end of its first line that is not empty."
  (interactive)
  (lacuna--accept-up-to "\\`\n*[^\n]*"))

(defun lacuna-dismiss ()
  "Take the ghost text away; it comes back after the next change."
  (interactive)
  (lacuna--cancel)
  (lacuna-clear))

(defun lacuna-complete ()
  "Ask for ghost text here and now."
  (interactive)
  (lacuna--ask t #'lacuna--draw))

(defun lacuna--cycle (step)
  (if (cdr (lacuna--ghost-items lacuna--ghost))
      (lacuna--turn step)
    ;; Unasked one came; asked for by hand there may be more.
    (lacuna--ask t (lambda () (when lacuna--ghost (lacuna--turn step))))))

(defun lacuna--turn (step)
  (setf (lacuna--ghost-index lacuna--ghost)
        (mod (+ step (lacuna--ghost-index lacuna--ghost)) (length (lacuna--ghost-items lacuna--ghost))))
  (lacuna--draw))

(defun lacuna-next ()
  "Show the next candidate."
  (interactive)
  (when lacuna--ghost (lacuna--cycle 1)))

(defun lacuna-previous ()
  "Show the previous candidate."
  (interactive)
  (when lacuna--ghost (lacuna--cycle -1)))

(defun lacuna--menu-changed (&rest _)
  "One text, one place: no ghost text behind a menu; when it closes, ask again."
  (when lacuna-mode
    (if (lacuna--menu-p) (lacuna-clear) (lacuna--schedule))))

;;;###autoload
(define-minor-mode lacuna-mode
  "Ghost text after point; `lacuna-ghost-map' has the keys that take it."
  :lighter (:eval (lacuna-lighter))
  (if lacuna-mode
      (progn
        (setq lacuna--tick (buffer-chars-modified-tick))
        (add-hook 'post-command-hook #'lacuna--after-command nil t)
        (add-hook 'kill-buffer-hook #'lacuna--forget nil t)
        (add-hook 'completion-in-region-mode-hook #'lacuna--menu-changed nil t)
        (dolist (hook '(company-completion-started-hook company-after-completion-hook))
          (add-hook hook #'lacuna--menu-changed nil t))
        (add-hook 'eglot-managed-mode-hook #'lacuna--managed nil t)
        ;; By then eglot has come, if it comes.
        (run-with-timer 2 nil #'lacuna--warm-up (current-buffer)))
    (lacuna--cancel)
    (lacuna-clear)
    (lacuna--forget)
    (remove-hook 'post-command-hook #'lacuna--after-command t)
    (remove-hook 'kill-buffer-hook #'lacuna--forget t)
    (remove-hook 'eglot-managed-mode-hook #'lacuna--managed t)
    (remove-hook 'completion-in-region-mode-hook #'lacuna--menu-changed t)
    (dolist (hook '(company-completion-started-hook company-after-completion-hook))
      (remove-hook hook #'lacuna--menu-changed t))))

;;;###autoload
(define-globalized-minor-mode global-lacuna-mode lacuna-mode
  (lambda () (when (and (derived-mode-p 'prog-mode) (not (minibufferp))) (lacuna-mode))))

(provide 'lacuna)

;;; lacuna.el ends here
