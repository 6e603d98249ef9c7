//! JSON of the generated types.
