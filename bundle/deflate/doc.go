// Package deflate takes gzip streams (RFC 1952, RFC 1951) apart and rebuilds
// them bit for bit.
//
// A gzip stream is more than the raw bytes that it decompresses to: where a
// compressor looked for matches, which it took, where it ended its blocks and
// how it built its Huffman codes. But a compressor is a function of its input.
// So this package holds models of those that make container layers: a
// [predictor] says which tokens they would make and a [shape] how they would
// write them. Analyze compares this with the stream and codes the differences,
// the corrections, with an adaptive range coder. For a compressor that is
// modelled exactly there are none; for an unknown one the generic model leaves
// a few per cent. NewReader does the reverse.
//
// All that predicts is frozen: a change of any prediction would make
// old recipes worthless. Golden vectors from the real tools guard it. The
// encoders of the standard library and of dependencies are never used, since
// their output changes from version to version.
package deflate
