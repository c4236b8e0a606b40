// Package image decides whether an image is signed by whom it must be, and has
// the attestations that it must have, from what is attached to it: offline, and
// by the same authorities as bundles.
//
// It takes what cosign and others attach, of both generations:
//
//   - Sigstore bundles in manifests that name the image as their subject: an
//     in-toto statement in an envelope, which is a signature if its predicate
//     type is [SignaturePredicate] and an attestation else; or a signature over
//     the bytes of the image's manifest.
//   - cosign's older payloads ("simple signing") and envelopes, with the rest in
//     annotations, under the tags sha256-….sig and sha256-….att or as referrers.
//
// The rules, which are those of [verify] as far as they can be:
//
//   - Only what names the digest of the image counts. What names another one is
//     listed and ignored, whoever signed it.
//   - What strangers attached, what is in an unknown form, and what is malformed
//     is listed and ignored: whoever may write to a registry can attach
//     something.
//   - What names a known key and does not verify refuses the image.
//   - A signature of an index covers what it lists. An image is accepted if its
//     index is, or if everything that is there of it is: each image below must be
//     signed, or something on the way to it, by those whom the rules ask for.
//
// Older signatures name no key. So an altered one cannot be told from one by a
// stranger, and is ignored.
//
// By certificates, cosign's older signatures have the promise of the log and no
// proof that it was kept. They count only if the caller says so
// ([Options.AllowPromise]), and are listed else.
//
// A signature is for a digest. It does not say that the image is new, nor (but
// for cosign's older ones, see [Options.Named]) what it is called: an older image
// that was signed as well is as good under the same tag.
//
// [verify]: see the package bale/verify.
package image
