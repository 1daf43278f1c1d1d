// SPDX-License-Identifier: Apache-2.0 OR MIT
//! The types of ../../zoo.h.

use bytecheck::CheckBytes;
use rkyv::ser::{ScratchSpace, Serializer};
use rkyv::validation::ArchiveContext;
use rkyv::{Archive, Fallible};

#[derive(Archive, rkyv::Serialize, rkyv::Deserialize, serde::Serialize, serde::Deserialize)]
#[archive_attr(derive(CheckBytes))]
pub enum Shape {
    Empty,
    Circle(f64),
    Named { name: String, sides: u32 },
}

#[derive(Archive, rkyv::Serialize, rkyv::Deserialize, serde::Serialize, serde::Deserialize)]
#[archive(bound(serialize = "__S: ScratchSpace + Serializer"))]
#[archive_attr(
    repr(C),
    derive(CheckBytes),
    check_bytes(bound = "__C: ArchiveContext, <__C as Fallible>::Error: std::error::Error")
)]
pub struct Node {
    pub value: u32,
    #[omit_bounds]
    #[archive_attr(omit_bounds)]
    pub children: Vec<Node>,
    #[omit_bounds]
    #[archive_attr(omit_bounds)]
    pub next: Option<Box<Node>>,
}

#[derive(Archive, rkyv::Serialize, rkyv::Deserialize, serde::Serialize, serde::Deserialize)]
#[archive_attr(repr(C), derive(CheckBytes))]
pub struct Pair {
    pub key: String,
    pub value: i64,
}

#[derive(Archive, rkyv::Serialize, rkyv::Deserialize, serde::Serialize, serde::Deserialize)]
#[archive_attr(repr(C), derive(CheckBytes))]
pub struct Point {
    pub x: i32,
    pub y: i32,
    pub weight: f32,
}

#[derive(Archive, rkyv::Serialize, rkyv::Deserialize, serde::Serialize, serde::Deserialize)]
#[archive_attr(repr(C), derive(CheckBytes))]
pub struct Zoo {
    pub flag: bool,
    pub small: u8,
    pub medium: u16,
    pub large: u32,
    pub huge: u64,
    pub minus: i8,
    pub depth: i16,
    pub height: i32,
    pub distance: i64,
    pub ratio: f32,
    pub exact: f64,
    pub letter: char,
    pub name: String,
    pub raw: Vec<u8>,
    pub counts: Vec<u32>,
    pub names: Vec<String>,
    pub points: Vec<Point>,
    pub limit: Option<u64>,
    pub note: Option<String>,
    pub triple: [u16; 3],
    pub origin: Point,
    pub shape: Shape,
    pub shapes: Vec<Shape>,
    pub map: Vec<Pair>,
    pub tree: Node,
}

#[derive(Archive, rkyv::Serialize, rkyv::Deserialize, serde::Serialize, serde::Deserialize)]
#[archive_attr(repr(C), derive(CheckBytes))]
pub struct Sampling {
    pub temperature: f32,
    pub top_p: f32,
    pub top_k: u32,
    pub seed: Option<u64>,
    pub stop: Vec<String>,
}

#[derive(Archive, rkyv::Serialize, rkyv::Deserialize, serde::Serialize, serde::Deserialize)]
#[archive_attr(repr(C), derive(CheckBytes))]
pub struct Request {
    pub id: u64,
    pub tokens: Vec<u32>,
    pub sampling: Sampling,
    pub logits: Vec<f32>,
}

#[derive(Archive, rkyv::Serialize, rkyv::Deserialize, serde::Serialize, serde::Deserialize)]
#[archive_attr(repr(C), derive(CheckBytes))]
pub struct Batch {
    pub step: u64,
    pub requests: Vec<Request>,
}
