package transport

// Progress is told what the engine does. Methods are called from several
// goroutines at once.
type Progress interface {
	// Phase starts a phase of total bytes (0: unknown), ending the one before.
	Phase(name string, total int64)
	// Add reports bytes of the current phase.
	Add(n int64)
}

// Silent is a Progress that says nothing.
type Silent struct{}

// Phase implements [Progress].
func (Silent) Phase(string, int64) {}

// Add implements [Progress].
func (Silent) Add(int64) {}
