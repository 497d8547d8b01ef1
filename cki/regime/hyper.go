package regime

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/splice-ml/splice/cki"
	"github.com/splice-ml/splice/configs/registry"
	"github.com/splice-ml/splice/models"
)

// Hyper are parents of other hyper-parameters, from the same initial weights. Lists are read in parallel: parent k takes each
// list's entry k, and what the config says where the list is shorter.
type Hyper struct {
	Count         int       `yaml:"count"`          // parents
	LearningRates []float64 `yaml:"learning_rates"` // of the parents
	Dropouts      []float64 `yaml:"dropouts"`       // the parents' net_dropout
	Regularizers  []float64 `yaml:"regularizers"`   // the parents' embedding_regularizer
}

func init() { cki.RegisterRegime("hyper", Hyper{Count: 2, LearningRates: []float64{1e-3, 2e-3}}) }

// Validate reports every option out of range.
func (r Hyper) Validate() error {
	errs := []error{checkCount(r.Count)}
	for _, l := range []struct {
		key    string
		values []float64
		ok     func(float64) bool
		want   string
	}{
		{"learning_rates", r.LearningRates, func(v float64) bool { return v > 0 }, "must be above 0"},
		{"dropouts", r.Dropouts, func(v float64) bool { return v >= 0 && v < 1 }, "must be in [0, 1)"},
		{"regularizers", r.Regularizers, func(v float64) bool { return v >= 0 }, "must not be negative"},
	} {
		for _, v := range l.values {
			if !l.ok(v) {
				errs = append(errs, registry.Field(l.key, l.want))
				break
			}
		}
		if len(l.values) > r.Count {
			errs = append(errs, registry.Field(l.key, fmt.Sprintf("has %d entries for %d parents", len(l.values), r.Count)))
		}
	}
	if len(r.LearningRates)+len(r.Dropouts)+len(r.Regularizers) == 0 {
		errs = append(errs, registry.Field("learning_rates", "give learning_rates, dropouts or regularizers that tell the parents apart"))
	}
	return errors.Join(errs...)
}

// Make trains the parents.
func (r Hyper) Make(ctx context.Context, l *cki.Lab) (*cki.Family, error) {
	var trainings []cki.Training
	for k := range r.Count {
		t, err := parent(l, k)
		if err != nil {
			return nil, err
		}
		if k < len(r.LearningRates) {
			t.Options.LearningRate = r.LearningRates[k]
		}
		if k < len(r.Regularizers) {
			t.Options.EmbeddingRegularizer = r.Regularizers[k]
		}
		if k < len(r.Dropouts) {
			if t.Model, err = withOption(l.Model, "net_dropout", r.Dropouts[k]); err != nil {
				return nil, err
			}
		}
		trainings = append(trainings, t)
	}
	return family(ctx, l, nil, trainings)
}

// withOption returns a copy of the model with another value of one of its options, by the option's YAML key.
func withOption(m models.Model, key string, value float64) (models.Model, error) {
	v := reflect.ValueOf(m)
	if v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	c := reflect.New(v.Type()).Elem()
	c.Set(v)
	if !setOption(c, key, value) {
		return nil, fmt.Errorf("regime: hyper: the model has no option %s", key)
	}
	out, ok := c.Interface().(models.Model)
	if !ok {
		out, ok = c.Addr().Interface().(models.Model)
	}
	if !ok {
		return nil, fmt.Errorf("regime: hyper: %T is no model", c.Interface())
	}
	return out, nil
}

func setOption(c reflect.Value, key string, value float64) bool {
	for i := range c.NumField() {
		f := c.Type().Field(i)
		name, inline, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case name == key && f.Type.Kind() == reflect.Float64:
			c.Field(i).SetFloat(value)
			return true
		case inline == "inline" && f.Type.Kind() == reflect.Struct && setOption(c.Field(i), key, value):
			return true
		}
	}
	return false
}
