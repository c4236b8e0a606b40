# bale needs Go and make, nothing else. `make demo` and `make test` are the two
# commands for a newcomer; .ci/run calls the rest.

export CGO_ENABLED := 0
GO ?= go
VERSION ?= 0.1.0
FUZZTIME ?= 20000x
STATICCHECK ?= staticcheck
# Key services to build in besides hashivault: awskms, gcpkms, azurekms, or kms for all.
KMS ?=
comma := ,
TESTFLAGS ?=

.PHONY: build demo test vault race lint fuzz bench bench-update clean

build: bin/bale

.PHONY: bin/bale
bin/bale:
	$(GO) build -tags grpcnotrace$(if $(KMS),$(comma)$(KMS)) -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/bale ./cmd/bale

# The main job, end to end, on embedded parts.
demo: build
	$(GO) run ./cmd/demo -bale bin/bale

# Real parts that are not installed are skipped, each with its name; with
# BALE_TEST_REQUIRE=all that is a failure. The clouds' key services are no part
# of the default build.
test:
	$(GO) test $(TESTFLAGS) -timeout 20m ./...
	$(GO) test $(TESTFLAGS) -tags kms ./sign/kms

# Key services with a real Vault, which CI leaves out for the time it takes to build.
vault:
	PATH="$$(.ci/setup vault):$$PATH" BALE_TEST_REQUIRE=all $(GO) test $(TESTFLAGS) -tags kms,vault ./sign/kms

# Without the packages whose tests drive engines and registries: what they run
# in parallel is the engine's, which transport's own tests cover. Of package
# deflate only what rebuilds frames side by side: its models are sequential.
race:
	CGO_ENABLED=1 $(GO) test -race -run 'Frames|RealLayers|Kept|Size' ./bundle/deflate
	CGO_ENABLED=1 $(GO) test -race -timeout 20m $$($(GO) list ./bundle/... | grep -v /deflate) ./sign/kms ./verify ./transport ./transport/bale ./transport/layout ./transport/tarfile ./transport/savelist ./transport/conformance

lint:
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "gofmt would change: $$out"; exit 1; }
	$(GO) vet ./...
	$(GO) mod tidy -diff
	$(STATICCHECK) ./...

# Every fuzz target for a short while, from its checked-in seeds. A count, not a
# time: before Go 1.27 the end of a time races with the workers (go.dev/issue/75804).
fuzz:
	@set -e; for pkg in $$($(GO) list ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz $$pkg $$target"; \
	    $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 20x $$pkg; \
	  done; \
	done

# Go benchmarks, then bale beside its peers in one run (needs .ci/setup).
bench:
	$(GO) test -run '^$$' -bench . -benchmem ./bundle/...
	.ci/bench

# Updates from one release of real images to the next, beside bale's peers. The
# first run builds the images, and needs root for an engine that does it.
bench-update:
	.ci/bench-update

clean:
	rm -rf bin
