package certificate_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protobuf "google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"bale/verify"
)

// Fields that can change in some bit. What surrounds the signed part of a
// timestamp can; if it no longer verifies, it is not counted where a log proves
// the time. A checkpoint may have lines by other signers, and there are two media
// types for one version. None of that changes who signed, or adds a time.
var mutable = []string{
	".verification_material.timestamp_verification_data.rfc3161_timestamps.signed_timestamp",
	".verification_material.tlog_entries.inclusion_proof.checkpoint.envelope",
	".media_type",
}

// step is how far apart the altered bytes of a field are.
const step = 7

// No field of a bundle can change unseen.
func TestEveryFieldCounts(t *testing.T) {
	i := newInstance()
	a := i.authority(t, nil, whoAlice)
	for name, o := range map[string]order{"Rekor 1": {}, "Rekor 2": {two: true}} {
		t.Run(name, func(t *testing.T) {
			pb := i.sign(o)
			want, err := a.Check(verify.EvidenceOf(pb), sums)
			if err != nil {
				t.Fatal(err)
			}
			fields := make(map[string]int)
			alter(pb.ProtoReflect(), "", func(path string) {
				fields[path]++
				got, err := a.Check(verify.EvidenceOf(protobuf.Clone(pb).(*bundlepb.Bundle)), sums)
				switch {
				case err != nil:
				case !slices.Contains(mutable, path):
					t.Errorf("%s: altered unseen", path)
				case len(got) != 1 || got[0].Identity != want[0].Identity:
					t.Errorf("%s: altered, and signed by %v", path, got)
				case slices.ContainsFunc(got[0].Times, func(at verify.Time) bool { return !slices.Contains(want[0].Times, at) }):
					t.Errorf("%s: altered, and signed at %v", path, got[0].Times)
				}
			})
			if len(fields) < 15 {
				t.Errorf("only %d fields: %v", len(fields), fields)
			}
			if got, err := a.Check(verify.EvidenceOf(pb), sums); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("the test changed its own bundle: %v", err)
			}
		})
	}
}

// alter changes each field below m in turn, tells f, and changes it back.
func alter(m protoreflect.Message, path string, f func(path string)) {
	m.Range(func(d protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		at := path + "." + string(d.Name())
		switch {
		case d.IsList() && d.Kind() == protoreflect.MessageKind:
			for n := range v.List().Len() {
				alter(v.List().Get(n).Message(), at, f)
			}
		case d.IsList():
			for n := range v.List().Len() {
				old := v.List().Get(n)
				for _, other := range others(d, old) {
					v.List().Set(n, other)
					f(at)
				}
				v.List().Set(n, old)
			}
		case d.Kind() == protoreflect.MessageKind:
			alter(v.Message(), at, f)
		default:
			for _, other := range others(d, v) {
				m.Set(d, other)
				f(at)
			}
			m.Set(d, v)
		}
		return true
	})
}

// others are other values than v for a field.
func others(d protoreflect.FieldDescriptor, v protoreflect.Value) []protoreflect.Value {
	var list []protoreflect.Value
	flip := func(old []byte, make func([]byte) protoreflect.Value) {
		for n := 0; n < len(old); n += step {
			b := append([]byte(nil), old...)
			b[n] ^= 1
			list = append(list, make(b))
		}
		list = append(list, make(nil), make(old[:len(old)-1]))
	}
	switch d.Kind() {
	case protoreflect.BytesKind:
		flip(v.Bytes(), protoreflect.ValueOfBytes)
	case protoreflect.StringKind:
		flip([]byte(v.String()), func(b []byte) protoreflect.Value { return protoreflect.ValueOfString(string(b)) })
	case protoreflect.Int64Kind:
		list = append(list, protoreflect.ValueOfInt64(v.Int()+1), protoreflect.ValueOfInt64(-v.Int()))
	case protoreflect.EnumKind:
		list = append(list, protoreflect.ValueOfEnum(v.Enum()+1))
	default:
		panic(fmt.Sprint("field of kind ", d.Kind()))
	}
	return list
}
