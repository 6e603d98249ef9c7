//! The NSQ protocol as pure code: frames, commands, names, errors.
