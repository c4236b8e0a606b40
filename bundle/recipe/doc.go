// Package recipe remembers how blobs are taken apart, so that a layer is
// analysed once in its life.
//
// Recipes are used without being proven again, so nothing but what this
// user's bale wrote may count: each entry is authenticated with a key that only
// the user can read, over the blob it was made for and the engine that made
// it. What is damaged, foreign or of another engine is ignored and removed. And
// nothing depends on the store: without it saving is only slower.
package recipe
