package verify

import "fmt"

// Verdict is what came of a step.
type Verdict int

// The verdicts.
const (
	Noted   Verdict = iota // neither here nor there
	Passed                 // it speaks for the bundle
	Ignored                // it does not count
	Failed                 // it is not met
)

// String returns the word that people see.
func (v Verdict) String() string {
	return [...]string{"note", "pass", "ignored", "FAIL"}[v]
}

// Step is one step of a decision, to be shown to people.
type Step struct {
	Verdict Verdict
	Text    string
}

func (t Trust) explain(v Verdict, format string, args ...any) {
	if t.Explain != nil {
		t.Explain(Step{v, fmt.Sprintf(format, args...)})
	}
}
