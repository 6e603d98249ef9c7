//! Compiles the `.proto` files without `protoc` and keeps their descriptors for reflection.

use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    let names = ["audit", "backfill", "calendar", "job", "namespace", "run", "task_queue", "worker"];
    compiler
        .include_source_info(true)
        .include_imports(true)
        .open_files(names.map(|name| format!("punctual/v1/{name}.proto")))?;
    // The compiler's own encoding keeps what a plain FileDescriptorSet would drop.
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("punctual.bin"), compiler.encode_file_descriptor_set())?;

    let mut config = prost_build::Config::new();
    // `prost::Name`, by which the JSON form finds a type's descriptor.
    config.enable_type_names();
    // Maps in key order, so that equal messages have equal bytes.
    config.btree_map(["."]);
    tonic_prost_build::configure().compile_fds_with_config(compiler.file_descriptor_set(), config)?;
    Ok(())
}
