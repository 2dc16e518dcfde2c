//! Serves the bare repositories of a directory over HTTP, for demonstrations and tests.
//!
//! ```text
//! cargo run --example git-server -- DIRECTORY ADDRESS
//! ```

mod server;

use std::path::PathBuf;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(directory), Some(address)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: git-server DIRECTORY ADDRESS");
        std::process::exit(2);
    };
    let listener = tokio::net::TcpListener::bind(&address).await?;
    axum::serve(listener, server::router(PathBuf::from(directory))).await
}
