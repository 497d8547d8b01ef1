module github.com/splice-ml/splice

go 1.26.0

require (
	github.com/cespare/xxhash/v2 v2.3.0 // hash buckets, cache keys, checksums
	github.com/chewxy/hm v1.0.0 // types of Gorgonia's ops
	github.com/ebitengine/purego v0.11.3
	github.com/go-json-experiment/json v1.27.2 // JSON of requests to cmd/serve
	github.com/google/go-cmp v0.7.0 // tests: readable differences
	github.com/klauspost/compress v1.20.3 // .zst files
	github.com/nlpodyssey/safetensors v0.0.0-20250209183917-bfb01cc25f7c // tests: cross-check of our safetensors files
	github.com/parquet-go/parquet-go v0.32.0 // metadata of Parquet files, and writing them
	github.com/prometheus/client_golang v1.25.0 // metrics of cmd/serve
	github.com/schollz/progressbar/v3 v3.19.1 // progress bars
	github.com/sugarme/tokenizer v0.3.0 // steps of data/token, which alone calls it
	go.yaml.in/yaml/v4 v4.0.0 // YAML syntax trees
	golang.org/x/sys v0.49.0 // CPU features
	golang.org/x/term v0.47.0 // is the output a terminal
	golang.org/x/text v0.44.0 // canonical decomposition, to strip accents
	gonum.org/v1/gonum v0.17.0 // singular values and linear solves of merges, quantiles of Student's t
	gonum.org/v1/plot v0.17.0 // figures of reports
	google.golang.org/protobuf v1.36.12 // wire format of TensorBoard event files and of ONNX files
	gorgonia.org/gorgonia v0.9.18 // graphs, shapes, the tape
	gorgonia.org/tensor v0.9.24 // values of Gorgonia's nodes
	modernc.org/sqlite v1.62.0 // studies of cmd/search
	pgregory.net/rapid v1.3.0 // tests: generated cases
)

require (
	github.com/apache/arrow/go/arrow v0.0.0-20211112161151-bc219186db40 // indirect
	github.com/awalterschulze/gographviz v2.0.3+incompatible // indirect
	github.com/chewxy/math32 v1.10.1 // indirect
	github.com/gogo/protobuf v1.3.2 // indirect
	github.com/golang/protobuf v1.5.2 // indirect
	github.com/google/flatbuffers v2.0.6+incompatible // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/leesper/go_rng v0.0.0-20190531154944-a612b043e353 // indirect
	github.com/mitchellh/colorstring v0.0.0-20190213212951-d06e56a500db // indirect
	github.com/pkg/errors v0.9.1 // indirect
	github.com/rivo/uniseg v0.4.7 // indirect
	github.com/xtgo/set v1.0.0 // indirect
	// Gorgonia panics at start with an older release of this package on Go newer than 1.20: keep this one or a newer one.
	go4.org/unsafe/assume-no-moving-gc v0.0.0-20231121144256-b99613f794b6 // indirect
	golang.org/x/xerrors v0.0.0-20200804184101-5ec99f83aff1 // indirect
	gorgonia.org/cu v0.9.4 // indirect
	gorgonia.org/dawson v1.2.0 // indirect
	gorgonia.org/vecf32 v0.9.0 // indirect
	gorgonia.org/vecf64 v0.9.0 // indirect
)

require (
	codeberg.org/go-fonts/liberation v0.5.0 // indirect
	codeberg.org/go-latex/latex v0.2.0 // indirect
	codeberg.org/go-pdf/fpdf v0.11.1 // indirect
	git.sr.ht/~sbinet/gg v0.7.0 // indirect
	github.com/ajstarks/svgo v0.0.0-20211024235047-1546f124cd8b // indirect
	github.com/andybalholm/brotli v1.1.1 // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/dustin/go-humanize v1.1.0 // indirect
	github.com/emirpasic/gods v1.18.1 // indirect
	github.com/golang/freetype v0.0.0-20170609003504-e2365dfdc4a0 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/ncruces/go-strftime v1.1.0 // indirect
	github.com/parquet-go/bitpack v1.0.0 // indirect
	github.com/parquet-go/jsonlite v1.0.0 // indirect
	github.com/pierrec/lz4/v4 v4.1.21 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	github.com/schollz/progressbar/v2 v2.15.0 // indirect
	github.com/sugarme/regexpset v0.0.0-20200920021344-4d4ec8eaf93c // indirect
	github.com/twpayne/go-geom v1.6.1 // indirect
	golang.org/x/image v0.30.0 // indirect
	modernc.org/libc v1.80.1 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/memory v1.12.1 // indirect
)
