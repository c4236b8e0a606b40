// Package conformance is the one test suite that every place passes: [Source]
// for what is read from, [Sink] for what is written to and [Holding] for what
// is searched for layers. It is for tests only.
//
// The suite brings its own images ([New]), built in memory so that it leans on
// no place, and a place in memory ([Memory]) to read them from. What can go
// wrong on the way is injected by a decorator ([Inject]) that fails the test
// if a fault was never hit.
//
// What a place can do besides ([transport.RawLayers], [transport.Preparing],
// [transport.Unpacking], [transport.Planning], [transport.Sparse],
// [transport.Referring], [transport.Partial]) is tested if it says that it can.
//
// Images as they are in the wild ([Signed]) go to each sink's place and back through
// the engine, whole and one platform of them. What a place cannot keep of that by its
// nature its test declares ([Place]).
//
// A place's test needs a few lines:
//
//	set := conformance.New(t, "registry.example/team")
//	conformance.Source(t, func(t *testing.T) transport.Source { … }, conformance.Want{Set: set})
//	conformance.Sink(t, func(t *testing.T) conformance.Place { … })
package conformance
