// Package run owns the directory of a run. It knows the name of every file that a command writes there, removes files that an earlier
// command left, and checks what a finished run must have. Its lock keeps two commands from writing into one directory at once.
package run

import (
	"fmt"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/splice-ml/splice/data"
	"github.com/splice-ml/splice/train/ckpt"
)

// Files of every run.
const (
	ConfigFile  = "config.yaml"        // the experiment, with every default filled in
	FeatureFile = data.MapFile         // the feature map that rows are read with
	ModelFile   = ckpt.SingleFile      // the model that is best on the validation rows
	CountsFile  = "counts.safetensors" // how often each row of the model's tables was trained
	ResultFile  = "result.json"        // metrics of the model
)

// CalibrationFile has what calibrates a run's predictions, once that was asked for.
const CalibrationFile = "calibration.json"

// ReliabilityFigure returns the name of the figure of the calibration of task n, from 1, with an extension such as .png.
func ReliabilityFigure(n int, ext string) string {
	if n == 1 {
		return "reliability" + ext
	}
	return fmt.Sprintf("reliability-%d%s", n, ext)
}

// Files of a training, beside those of every run.
const (
	MetricsFile = "metrics.jsonl"   // a line for every log interval and every evaluation
	StartFile   = "start.json"      // the weights and the teachers that training started from
	EMAFile     = "ema.safetensors" // exponential moving average of the weights over the steps
	SWAFile     = "swa.safetensors" // mean of the weights at the ends of epochs
	EpochsDir   = "epochs"          // directory of the weights after each epoch: see EpochFile
	LastDir     = "last"            // directory of what --resume needs
	StateFile   = "state.json"      // in LastDir: the step, and the names of the other files of LastDir
)

// ModelConfigFile is the file in which transformers finds a model's sizes. A Hugging Face directory has it, and so has the run of a
// text model, beside ConfigFile.
const ModelConfigFile = "config.json"

// Files of a merge, beside those of every run.
const (
	MergeFile  = "merge.json" // what the model was merged of
	TableFile  = "table.json" // the comparison; it is written last, so that a merge is done once it is there
	ParentsDir = "parents"    // directory of the parents that the regime made, each a run
	RowsDir    = "rows"       // directory of the comparison's trainings
	DigestFile = "digest"     // in ParentsDir and RowsDir: of what decides the trainings in there
)

// Files of a merge's report.
const (
	ReportFile   = "report.json"
	MarkdownFile = "report.md"
	RowsFigure   = "rows.png"    // models of the comparison
	GatesFigure  = "weights.png" // weight of the base, by tensor
	CosineFigure = "cosine.png"  // cosine of the parents, by tensor
)

// CardFile is a model card, which cmd/export writes. A file of that name that has another origin is not the run's: see [IsCard].
const CardFile = "README.md"

// LockFile is there while a command writes into the directory: see [Acquire].
const LockFile = ".splice.lock"

// BarrierFigure returns the name of the figure of the line between the base and another parent, from 1.
func BarrierFigure(n int) string {
	if n == 1 {
		return "barrier.png"
	}
	return fmt.Sprintf("barrier-%d.png", n)
}

// EpochFile returns the path, within a run's directory, of the weights after epoch n, from 1.
func EpochFile(n int) string { return filepath.Join(EpochsDir, "model-"+strconv.Itoa(n)+tensorsExt) }

const tensorsExt = ".safetensors"

// Names in LastDir. Each has the number of the optimizer step that it is of.

// LastModel returns the name of the weights after a step.
func LastModel(step int64) string { return fmt.Sprintf("model-%d%s", step, tensorsExt) }

// LastOptimizer returns the name of the optimizer's state after a step.
func LastOptimizer(step int64) string { return fmt.Sprintf("optimizer-%d%s", step, tensorsExt) }

// LastCounts returns the name of the counts after a step.
func LastCounts(step int64) string { return fmt.Sprintf("counts-%d%s", step, tensorsExt) }

// LastAverages returns the name of the averages after a step, the weights of that many epochs being in them.
func LastAverages(step, epochs int64) string {
	return fmt.Sprintf("averages-%d-%d%s", step, epochs, tensorsExt)
}

// LastWorker returns the name of what worker k of a training in rounds, from 0, holds after a step of all of them together.
func LastWorker(k int, step int64) string { return fmt.Sprintf("worker-%d-%d%s", k, step, tensorsExt) }

// LastWorkerCounts returns the name of the worker's counts of rows.
func LastWorkerCounts(k int, step int64) string {
	return fmt.Sprintf("worker-counts-%d-%d%s", k, step, tensorsExt)
}

// Kind says what an entry belongs to, such as a training, a merge or a report.
type Kind string

// Kinds of entries.
const (
	OfRun       Kind = "run"       // every run has it, a merge's too
	OfTraining  Kind = "training"  // training writes it
	OfText      Kind = "text"      // runs of text models have it, as Hugging Face directories do
	OfMerge     Kind = "merge"     // a merge writes it
	OfReport    Kind = "report"    // a merge's report
	OfTrainings Kind = "trainings" // trainings that a merge makes

	OfCalibration Kind = "calibration" // calibrating a run writes it, after the run is finished
	OfCard        Kind = "card"        // the model card, which makes no directory a run's
	OfLock        Kind = "lock"        // the lock, which makes no directory a run's
)

// Entry is a file or directory of a run.
type Entry struct {
	Name   string // or a pattern of path.Match, for names that have a number
	Kind   Kind
	About  string
	Inside []string // a directory's files, as names or patterns; nil for a file, or a directory of runs
}

// entries are all files and directories that commands write into a run's directory. What is not here has no owner: Clear leaves it
// behind, and a test fails.
var entries = []Entry{
	{Name: ConfigFile, Kind: OfRun, About: "the experiment, with every default filled in"},
	{Name: FeatureFile, Kind: OfRun, About: "the feature map that rows are read with"},
	{Name: ModelFile, Kind: OfRun, About: "the model that is best on the validation rows"},
	{Name: CountsFile, Kind: OfRun, About: "how often each row of the model's tables was trained"},
	{Name: ResultFile, Kind: OfRun, About: "metrics of the model"},

	{Name: CalibrationFile, Kind: OfCalibration, About: "what calibrates the model's predictions"},
	{Name: "reliability.png", Kind: OfCalibration, About: "figure: predictions and how often they come true"},
	{Name: "reliability.svg", Kind: OfCalibration, About: "the same, with values to point at"},
	{Name: "reliability-[0-9]*.png", Kind: OfCalibration, About: "figure: those of a further task"},
	{Name: "reliability-[0-9]*.svg", Kind: OfCalibration, About: "the same, with values to point at"},

	{Name: MetricsFile, Kind: OfTraining, About: "the log, a line for every log interval and every evaluation"},
	{Name: "events.out.tfevents.*", Kind: OfTraining, About: "the log for TensorBoard"},
	{Name: StartFile, Kind: OfTraining, About: "the weights and the teachers that training started from"},
	{Name: EMAFile, Kind: OfTraining, About: "moving average of the weights over the steps"},
	{Name: SWAFile, Kind: OfTraining, About: "mean of the weights at the ends of epochs"},
	{Name: EpochsDir, Kind: OfTraining, About: "the weights after each epoch", Inside: []string{"model-*.safetensors"}},
	{Name: LastDir, Kind: OfTraining, About: "what --resume needs", Inside: []string{
		StateFile, "model-*.safetensors", "optimizer-*.safetensors", "counts-*.safetensors", "averages-*.safetensors",
		"worker-*.safetensors",
	}},

	{Name: ModelConfigFile, Kind: OfText, About: "the model's sizes, as transformers reads them"},
	{Name: "tokenizer.json", Kind: OfText, About: "the tokenizer"},
	{Name: "tokenizer_config.json", Kind: OfText, About: "options of the tokenizer"},
	{Name: "special_tokens_map.json", Kind: OfText, About: "special tokens of the tokenizer"},
	{Name: "added_tokens.json", Kind: OfText, About: "tokens that were added to the tokenizer"},
	{Name: "vocab.txt", Kind: OfText, About: "tokens of a WordPiece tokenizer"},
	{Name: "vocab.json", Kind: OfText, About: "tokens of a byte-level tokenizer"},
	{Name: "merges.txt", Kind: OfText, About: "merges of a byte-level tokenizer"},

	{Name: MergeFile, Kind: OfMerge, About: "what the model was merged of"},
	{Name: TableFile, Kind: OfMerge, About: "the comparison"},
	{Name: ReportFile, Kind: OfReport, About: "the report"},
	{Name: MarkdownFile, Kind: OfReport, About: "the report, to read"},
	{Name: RowsFigure, Kind: OfReport, About: "figure: models of the comparison"},
	{Name: GatesFigure, Kind: OfReport, About: "figure: weight of the base, by tensor"},
	{Name: CosineFigure, Kind: OfReport, About: "figure: cosine of the parents, by tensor"},
	{Name: "barrier.png", Kind: OfReport, About: "figure: models between the base and the second parent"},
	{Name: "barrier-[0-9]*.png", Kind: OfReport, About: "figure: models between the base and a further parent"},
	{Name: ParentsDir, Kind: OfTrainings, About: "the parents that the regime made, each a run"},
	{Name: RowsDir, Kind: OfTrainings, About: "the trainings of the comparison"},

	{Name: CardFile, Kind: OfCard, About: "the model card"},
	{Name: LockFile, Kind: OfLock, About: "which command writes into the directory"},
}

// Entries returns all files and directories that commands write into a run's directory.
func Entries() []Entry { return append([]Entry(nil), entries...) }

// Owners returns the entries that a file belongs to. file is a slash-separated path within a run's directory. There is exactly one
// entry unless the table is wrong. A file of a training within a merge belongs to that training.
func Owners(file string) []Entry {
	var found []Entry
	first, rest, nested := strings.Cut(file, "/")
	for _, e := range entries {
		switch {
		case !matches(e.Name, first):
		case e.Kind == OfTrainings:
			if rest == DigestFile {
				found = append(found, e)
			} else if nested {
				found = append(found, ofTraining(rest)...)
			}
		case nested == (e.Inside != nil) && (!nested || matchesAny(e.Inside, rest)):
			found = append(found, e)
		}
	}
	return found
}

// ofTraining returns the entries of a file in a directory of trainings, whose own directory may lie deeper.
func ofTraining(file string) []Entry {
	for {
		_, rest, nested := strings.Cut(file, "/")
		if !nested {
			return nil
		}
		if found := Owners(rest); len(found) > 0 {
			return found
		}
		file = rest
	}
}

func matches(pattern, name string) bool {
	ok, _ := path.Match(pattern, name) // the table's patterns are good: a test
	return ok
}

func matchesAny(patterns []string, name string) bool {
	for _, p := range patterns {
		if matches(p, name) {
			return true
		}
	}
	return false
}
