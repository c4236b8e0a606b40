// Package bale is the bundle as a place: images are saved to it and loaded
// from it by the same engine that copies between all places.
package bale
