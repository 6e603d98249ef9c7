//! The gRPC contract of Punctual: the `.proto` files and the types generated from them, package `punctual.v1`.
//!
//! Build needs no `protoc`. [`json`] turns the types into JSON and back, in the one form that job files, the
//! HTTP API and `-o json` share; [`doorbell`] is the body of a task queue's messages.

#![forbid(unsafe_code)]

pub mod doorbell;
pub mod json;

/// The generated types, servers and clients of package `punctual.v1`.
#[allow(
    missing_docs,
    clippy::all,
    rustdoc::all,
    reason = "generated from the .proto files, which hold the documentation"
)]
pub mod v1 {
    tonic::include_proto!("punctual.v1");
}

/// The encoded `FileDescriptorSet` of every `.proto` file here and what they import, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/punctual.bin"));
