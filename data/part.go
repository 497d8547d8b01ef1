package data

// Part is one of the parts of a data set.
type Part uint8

// The parts of a data set. Lists of three are in this order.
const (
	TrainPart Part = iota
	ValidPart
	TestPart
)

// String returns train, valid or test.
func (p Part) String() string { return [...]string{"train", "valid", "test"}[p] }

// PathKey returns the option that names the files of a part.
func (p Part) PathKey() string { return [...]string{"path", "valid_path", "test_path"}[p] }
