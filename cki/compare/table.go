package compare

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/splice-ml/splice/cki/report"
	"github.com/splice-ml/splice/data/bound"
	"github.com/splice-ml/splice/train/run"
)

// Table is the comparison of a merge, as table.json holds it.
type Table struct {
	Digest      string         `json:"digest"`                 // of the config and the parents
	ModelDigest string         `json:"model_digest,omitempty"` // of the model that is passed on: see cki.Digest
	Seed        uint64         `json:"seed"`
	Model       string         `json:"model"`
	Data        string         `json:"data"`
	Metric      string         `json:"metric"` // by which models are selected
	Synthetic   bool           `json:"synthetic"`
	Protocol    string         `json:"protocol,omitempty"`  // what the metrics rank: see train.Protocol
	Reachable   report.Metrics `json:"reachable,omitempty"` // what the true probabilities of synthetic rows reach on the test rows
	// what the parents' training rows were split by; empty if all saw the same, or it is not known
	SplitBy string `json:"split_by,omitempty"`
	// that training the run took which the parents branch from; 0 if there is none, or it is not known
	TrunkSeconds float64 `json:"trunk_seconds,omitempty"`
	Passed       RowName `json:"passed"`  // the row whose model is passed on
	Guarded      bool    `json:"guarded"` // it is the best parent, since the merge was worse on validation
	Rows         Rows    `json:"rows"`
}

// ReadTable reads the comparison of a merge from its run.
func ReadTable(dir string) (*Table, error) {
	path := filepath.Join(dir, run.TableFile)
	b, err := bound.ReadFile(path, bound.JSON)
	if err != nil {
		return nil, err
	}
	t := &Table{}
	if err := json.Unmarshal(b, t); err != nil {
		return nil, fmt.Errorf("%s: %w; remove it to merge again", path, err)
	}
	return t, nil
}
