//! Bake: texts of bake files and compose files, with variables, to the targets that are built, as `docker buildx bake`
//! resolves them. Everything here is pure: nobody reads a file, the environment or the clock.
#![forbid(unsafe_code)]
