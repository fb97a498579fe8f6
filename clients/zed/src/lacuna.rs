//! Tells Zed how the server is started: as the user's settings say, else `lacuna` from the `PATH`.
use zed_extension_api::{self as zed, settings::LspSettings, Command, LanguageServerId, Result, Worktree};

struct Lacuna;

impl zed::Extension for Lacuna {
    fn new() -> Self {
        Lacuna
    }

    fn language_server_command(&mut self, server: &LanguageServerId, worktree: &Worktree) -> Result<Command> {
        let binary = LspSettings::for_worktree(server.as_ref(), worktree).ok().and_then(|settings| settings.binary);
        let (path, arguments) = binary.map(|binary| (binary.path, binary.arguments)).unwrap_or_default();
        let command = path
            .or_else(|| worktree.which("lacuna"))
            .ok_or("no lacuna on the PATH; install it with: npm install -g lacuna-ls")?;
        let args = arguments.unwrap_or_else(|| vec!["--stdio".into()]);
        Ok(Command { command, args, env: worktree.shell_env() })
    }

    fn language_server_initialization_options(
        &mut self,
        server: &LanguageServerId,
        worktree: &Worktree,
    ) -> Result<Option<zed::serde_json::Value>> {
        Ok(LspSettings::for_worktree(server.as_ref(), worktree).ok().and_then(|settings| settings.initialization_options))
    }

    fn language_server_workspace_configuration(
        &mut self,
        server: &LanguageServerId,
        worktree: &Worktree,
    ) -> Result<Option<zed::serde_json::Value>> {
        let settings = LspSettings::for_worktree(server.as_ref(), worktree).ok().and_then(|settings| settings.settings);
        Ok(settings.map(|settings| zed::serde_json::json!({ "lacuna": settings })))
    }
}

zed::register_extension!(Lacuna);
