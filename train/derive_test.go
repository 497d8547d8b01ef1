package train_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/splice-ml/splice/models/ops/kernel"
	"github.com/splice-ml/splice/train"
	"github.com/splice-ml/splice/train/optim"
	"github.com/splice-ml/splice/train/schedule"
)

// TestDerive: every option either stays in a derived training, or is set by its length, or is off. A new one is to be put into
// one of the groups, and into Derive if it does not stay.
func TestDerive(t *testing.T) {
	stays := []string{
		"BatchSize", "LearningRate", "Optimizer", "Embeddings", "GradientAccumulation", "Shards", "LayerDecay", "LearningRates", "NoDecay",
		"EmbeddingRegularizer", "NetRegularizer", "EmbeddingL1", "NetL1", "Freeze", "MaxGradNorm", "Precision", // how a step is made
		"Monitor", "Keep", "MinDelta", "EvalSteps", // how a model is chosen
		"CacheFeatures", "CheckpointSteps", "LogSteps", // no result depends on them
	}
	off := []string{"KeepEpochs", "EMA", "SWAStart"}
	var o train.Options
	v := reflect.ValueOf(&o).Elem()
	for i := range v.NumField() {
		fill(t, v.Type().Field(i).Name, v.Field(i))
	}
	l := train.Length{Epochs: 7, MaxSteps: 8, Schedule: schedule.Linear{}, Patience: 9}
	for _, tc := range []struct {
		name string
		l    train.Length
	}{{"another length", l}, {"its own length", o.Length()}, {"no length", train.Length{}}} {
		got := reflect.ValueOf(o.Derive(tc.l))
		length := reflect.ValueOf(tc.l)
		for i := range v.NumField() {
			name := v.Type().Field(i).Name
			want := reflect.Zero(v.Field(i).Type())
			switch f := length.FieldByName(name); {
			case slices.Contains(stays, name):
				want = v.Field(i)
			case f.IsValid():
				want = f
			case !slices.Contains(off, name):
				t.Errorf("option %s is in no group: does it stay in a derived training?", name)
				continue
			}
			if !reflect.DeepEqual(got.Field(i).Interface(), want.Interface()) {
				t.Errorf("%s: %s = %v, want %v", tc.name, name, got.Field(i), want)
			}
		}
	}
}

// fill sets a field to a value that is not its zero.
func fill(t *testing.T, name string, v reflect.Value) {
	t.Helper()
	switch x := v.Addr().Interface().(type) {
	case *int:
		*x = 3
	case *int64:
		*x = 4
	case *float64:
		*x = 0.25
	case *string:
		*x = "some"
	case *bool:
		*x = true
	case *[]string:
		*x = []string{"a"}
	case *[]train.RateOptions:
		*x = []train.RateOptions{{Match: []string{"b"}, Factor: 2}}
	case *kernel.Precision:
		*x = kernel.Medium
	case *optim.Options:
		*x = optim.SGD{Momentum: 0.5}
	case *schedule.Options:
		*x = schedule.Step{Gamma: 0.5}
	default:
		t.Fatalf("option %s is a %v: say here how one is made", name, v.Type())
	}
}
