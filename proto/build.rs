//! Compiles the `.proto` files without `protoc` and keeps their descriptors for reflection.

use std::error::Error;
use std::path::PathBuf;

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = ["job", "run", "worker"].map(|name| format!("punctual/v1/{name}.proto"));
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_files(&files)?;
    let descriptors = compiler.file_descriptor_set();
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // The compiler's own encoding keeps what a plain FileDescriptorSet would drop.
    std::fs::write(out.join("punctual.bin"), compiler.encode_file_descriptor_set())?;
    debug_assert!(!descriptors.encode_to_vec().is_empty());
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
