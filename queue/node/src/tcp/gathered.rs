//! Commands that are carried out together.

use punctual_queue_wire::bodies::Packing;
use punctual_queue_wire::command::{Command, CommandName};

/// Commands that follow each other and are carried out together.
#[derive(Debug, Default)]
pub(super) enum Gathered {
    #[default]
    Nothing,
    /// PUBs to the connection's current topic.
    Bodies(Packing),
    /// RDY, FIN, REQ and TOUCH.
    ForChannel(Vec<Command>),
}

impl Gathered {
    /// Whether `command` is carried out with those that are gathered.
    pub(super) fn takes(&self, command: CommandName) -> bool {
        match self {
            Self::Nothing => true,
            Self::Bodies(_) => command == CommandName::Pub,
            Self::ForChannel(_) => {
                matches!(command, CommandName::Rdy | CommandName::Fin | CommandName::Req | CommandName::Touch)
            }
        }
    }
}
