# Everything a newcomer needs: `make demo`, `make test`. Needs npm and git, nothing else.
.PHONY: setup demo test check bench bundle eif lock vm test-vm s3 test-s3 pg test-pg clean

setup: node_modules/.installed

# npm ci is skipped when the lock file has not changed since the last time.
node_modules/.installed: package-lock.json .npmrc
	@scripts/retry npm ci --loglevel=error
	@touch $@

demo: setup
	@scripts/trackseal demo $(DEMO_FLAGS)

test: setup
	@npm run --silent test

check: setup
	@npm run --silent types
	@npm run --silent lint
	@npm run --silent format:check
	@npm run --silent tcb -- --check
	@npm run --silent lock -- --check
	@npm run --silent test:unit

bench: setup
	@npm run --silent bench

bundle: setup
	@npm run --silent bundle

# The enclave image and what it measures, in build/. The same commit gives the same bytes everywhere.
eif: setup
	@scripts/trackseal image build --rootfs build/rootfs.tar

# Pins Debian's packages of today and what is in the repository; `npm run lock` does the latter only.
lock: setup
	@npm run --silent lock -- --all

# The demo with that image, booted in an emulated Nitro Enclave. Debian on x86-64; builds QEMU once (docs/VM.md).
vm: eif
	@npm run --silent vm -- $(VM_FLAGS)

ifeq ($(TRACKSEAL_VM),skip)
test-vm:
	@echo 'make test-vm: left out, because TRACKSEAL_VM=skip'
	@test -z "$$TRACKSEAL_REQUIRE" || { echo 'TRACKSEAL_REQUIRE is set: it has to run' >&2; exit 1; }
else
test-vm: eif
	@npm run --silent test:vm
endif

# A real S3 server with Object Lock on this machine, until it is interrupted (docs/S3.md). Debian on x86-64.
s3: setup
	@npm run --silent s3

# The rules of S3 and the contract of our stores, asked of Ceph, of versitygw where Go is, of AWS where a bucket is named.
test-s3: setup
	@npm run --silent test:s3

# A real PostgreSQL 15 on this machine, until it is interrupted (docs/OPERATE.md). Debian on x86-64.
pg: setup
	@npm run --silent pg

# What must hold of the database, asked of that PostgreSQL; `make test` asks PGlite.
test-pg: setup
	@npm run --silent test:pg

clean:
	rm -rf build dist node_modules
