package set

// synthBlanks are the shares of rows in which a group of columns is missing, after the first rows of Criteo's log.
var synthBlanks = [...]float64{.45, .20, .25, .05, .77, .13, .03, .45, .80}

// synthNumCols are I1 to I13. Means, deviations and blanks are close to Criteo's.
var synthNumCols = [synthNums]synthNum{
	{mean: 0.9, std: 1.1, blank: 0, slope: .5},
	{mean: 2.1, std: 2.0, blank: -1, slope: .2, bend: -.3},
	{mean: 2.2, std: 1.3, blank: 1, slope: -.4},
	{mean: 1.8, std: 1.0, blank: 1},
	{mean: 7.3, std: 2.4, blank: 3, slope: -.6, factor: .5},
	{mean: 3.6, std: 1.8, blank: 2, slope: -.7, bend: .4},
	{mean: 1.5, std: 1.4, blank: 3, slope: .6, factor: .5},
	{mean: 2.0, std: 1.2, blank: -1, slope: -.2},
	{mean: 3.6, std: 1.7, blank: 3},
	{mean: 0.3, std: 0.5, blank: 0, slope: .3},
	{mean: 0.8, std: 0.8, blank: 3, slope: .4, bend: .3},
	{mean: 0.1, std: 0.6, blank: 4, slope: .2},
	{mean: 1.9, std: 1.1, blank: 1, slope: -.5, bend: .2},
}

// synthCatCols are C1 to C26.
var synthCatCols = [synthCats]synthCat{
	{card: 1460, zipf: 1.70, blank: -1, main: 1, factor: 1},
	{card: 583, zipf: 1.40, blank: -1, main: 1},
	{card: 100000, zipf: 1.55, blank: 6, main: .7},
	{card: 60000, zipf: 1.60, blank: 6, main: .7},
	{card: 305, zipf: 2.00, blank: -1, main: .6},
	{card: 24, zipf: 1.10, blank: 5, main: .8, factor: 1},
	{card: 12517, zipf: 1.50, blank: -1, main: .5},
	{card: 633, zipf: 1.80, blank: -1, main: .5},
	{card: 3, zipf: 2.50, blank: -1, main: .8},
	{card: 93145, zipf: 1.65, blank: -1, main: .5},
	{card: 5683, zipf: 1.50, blank: -1, main: .5},
	{card: 80000, zipf: 1.60, blank: 6, main: .5},
	{card: 3194, zipf: 1.55, blank: -1},
	{card: 27, zipf: 1.30, blank: -1, main: 1, factor: 1},
	{card: 14992, zipf: 1.55, blank: -1},
	{card: 70000, zipf: 1.60, blank: 6},
	{card: 10, zipf: 1.10, blank: -1, main: 1, factor: 1},
	{card: 5652, zipf: 1.55, blank: -1, main: .6},
	{card: 2173, zipf: 1.60, blank: 7, main: .5},
	{card: 4, zipf: .30, blank: 7, main: .8, factor: 1},
	{card: 90000, zipf: 1.60, blank: 6},
	{card: 18, zipf: 1.20, blank: 8, main: .5},
	{card: 15, zipf: 1.20, blank: -1, main: 1, factor: 1},
	{card: 40000, zipf: 1.65, blank: 6, main: .5},
	{card: 105, zipf: 1.65, blank: 7, main: .6},
	{card: 30000, zipf: 1.65, blank: 7, main: .5},
}
