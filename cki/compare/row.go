package compare

import (
	"fmt"
	"slices"

	"github.com/splice-ml/splice/cki/report"
)

// RowName is the name of a row. It identifies the row in a comparison and is what tables show.
type RowName string

// The rows that a comparison can have. Their names must not change, since they stand in files of runs and in docs/results.
const (
	RowBase       RowName = "base"
	RowOther      RowName = "other"       // the second of two parents; of more see OtherRow
	RowBestParent RowName = "best parent" // on the validation rows

	RowEnsembleOfTwo RowName = "ensemble of two" // of more than two parents the first two
	RowEnsemble      RowName = "ensemble"        // mean logits of all parents

	RowAverage        RowName = "average"
	RowHeadAverage    RowName = "average of heads"
	RowCounts         RowName = "counts"
	RowSoup           RowName = "greedy soup of the parents"
	RowGraft          RowName = "filter grafting"
	RowPruneSigned    RowName = "pruning, signed"
	RowPruneMagnitude RowName = "pruning, magnitude"
	RowCKIUntrained   RowName = "CKI untrained"
	RowCKI            RowName = "CKI"
	RowAverageAligned RowName = "average, aligned"
	RowCKIAligned     RowName = "CKI, aligned"
	RowGates          RowName = "gates"
	RowCKITrained     RowName = "CKI + training"

	RowMerge        RowName = "merge" // as configured; further rounds are RoundRow
	RowMergeTrained RowName = "merge + training"
	RowRounds       RowName = "rounds" // one model, trained on the shards in rounds

	RowBaseTrained       RowName = "base + training"
	RowAverageTrained    RowName = "average + training"
	RowMergeHardLabels   RowName = "merge + training, hard labels"
	RowMergeSelfTeacher  RowName = "merge + training, self-teacher"
	RowHalfHeadTrained   RowName = "head x 0.5 + training"
	RowPermutedTrained   RowName = "permuted average + training"
	RowLonger            RowName = "longer training"
	RowEqualCompute      RowName = "equal compute" // one run of as many steps as all trainings together, its rate tuned on validation
	RowEpochSoup         RowName = "soup of own epochs"
	RowBaseMovingAverage RowName = "moving average"
	RowAllData           RowName = "all data" // one model on the rows of all parents
)

// OtherRow returns the name of the row of parent k, one of n parents. Parent 0 is the base.
func OtherRow(k, n int) RowName {
	if n == 2 {
		return RowOther
	}
	return numberedOther(k)
}

// numberedOther returns the name of the row of parent k where there are more than two parents.
func numberedOther(k int) RowName { return RowName(fmt.Sprintf("%s %d", RowOther, k)) }

// RoundRow returns the row of a round's merge. Round 1 is the merge itself.
func RoundRow(round int) RowName {
	if round < 2 {
		return RowMerge
	}
	return RowName(fmt.Sprintf("%s, round %d", RowMerge, round))
}

// Row is a model of the comparison, or an ensemble of several.
type Row struct {
	Name    RowName        `json:"name"`
	Note    string         `json:"note,omitempty"`
	Valid   report.Metrics `json:"valid"`
	Test    report.Metrics `json:"test,omitempty"`
	Seconds float64        `json:"seconds"`         // that merging and training this row took, without the parents' training
	Steps   int64          `json:"steps,omitempty"` // optimizer steps of this row's own training
}

// Rows are the rows of a comparison.
type Rows []Row

// Get returns the row of that name, or nil.
func (rs Rows) Get(name RowName) *Row {
	for i := range rs {
		if rs[i].Name == name {
			return &rs[i]
		}
	}
	return nil
}

// Report returns the rows as a report lays them out.
func (rs Rows) Report() []report.Row {
	var out []report.Row
	for _, r := range rs {
		out = append(out, report.Row{Name: string(r.Name), Note: r.Note, Valid: r.Valid, Test: r.Test, Seconds: r.Seconds, Steps: r.Steps})
	}
	return out
}

// RowNames are the names of the rows that a comparison can have, but for those with a number: see [OtherRow] and [RoundRow].
var RowNames = []RowName{
	RowBase, RowOther, RowBestParent, RowEnsembleOfTwo, RowEnsemble, RowAverage, RowHeadAverage, RowCounts, RowSoup, RowGraft, RowPruneSigned,
	RowPruneMagnitude, RowCKIUntrained, RowCKI, RowAverageAligned, RowCKIAligned, RowGates, RowCKITrained, RowMerge, RowMergeTrained, RowBaseTrained,
	RowAverageTrained, RowMergeHardLabels, RowMergeSelfTeacher, RowHalfHeadTrained, RowPermutedTrained, RowLonger, RowEqualCompute, RowEpochSoup,
	RowBaseMovingAverage, RowAllData,
}

// maxNumber is above the numbers that rows have.
const maxNumber = 1000

// KnownRow reports whether a comparison can have a row of that name.
func KnownRow(name RowName) bool {
	if slices.Contains(RowNames, name) {
		return true
	}
	for n := 1; n < maxNumber; n++ {
		if name == numberedOther(n) || name == RoundRow(n) {
			return true
		}
	}
	return false
}
