//! Which data directory this is.

use std::path::Path;

use punctual_queue_log::disk::{Disk, read_file, replace_file};
use uuid::Uuid;

use crate::error::NodeError;

const FILE_NAME: &str = "node_id";

/// The id kept in `dir`, made at random where there is none: without the directory, the messages are lost too, and
/// those who published them must see that this is another node.
pub(crate) fn load_or_create(disk: &dyn Disk, dir: &Path) -> Result<Uuid, NodeError> {
    let path = dir.join(FILE_NAME);
    let failed = |action| {
        let path = path.clone();
        move |source| NodeError::Io { action, path, source }
    };
    let content = read_file(disk, &path).map_err(failed("read"))?;
    if let Some(id) = content.and_then(|content| Uuid::try_parse_ascii(content.trim_ascii()).ok()) {
        return Ok(id);
    }
    let id = Uuid::new_v4();
    replace_file(disk, &path, format!("{id}\n").as_bytes()).map_err(failed("write"))?;
    Ok(id)
}
