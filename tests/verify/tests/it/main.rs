//! Histories, good and bad, through the front door.

mod attempts;
mod binary;
mod completion;
mod materialisation;
mod mutations;
mod overlap;
mod requests;
mod story;
