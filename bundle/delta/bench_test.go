package delta

import "testing"

func BenchmarkAppend(b *testing.B) {
	s := program(20_000)
	e := NewEncoder()
	b.SetBytes(int64(len(s.new)))
	b.ReportAllocs()
	var p []byte
	for b.Loop() {
		p = e.Append(p[:0], s.old, s.new)
	}
	b.ReportMetric(float64(len(p)), "patch-bytes")
}

func BenchmarkApply(b *testing.B) {
	s := program(20_000)
	p := NewEncoder().Append(nil, s.old, s.new)
	b.SetBytes(int64(len(s.new)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Apply(s.old, p, len(s.new)); err != nil {
			b.Fatal(err)
		}
	}
}
