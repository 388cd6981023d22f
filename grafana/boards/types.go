package main

// Constructors, one per panel type, with the options of each.

type reduceOptions struct {
	Calcs  []string `json:"calcs"`
	Fields string   `json:"fields"` // a regular expression, "" for all numbers
	Values bool     `json:"values"` // every row is a value
	Limit  int      `json:"limit,omitempty"`
}

type statOptions struct {
	ReduceOptions reduceOptions `json:"reduceOptions"`
	ColorMode     string        `json:"colorMode"`
	GraphMode     string        `json:"graphMode"`
	JustifyMode   string        `json:"justifyMode"`
	Orientation   string        `json:"orientation"`
	TextMode      string        `json:"textMode"`
	WideLayout    bool          `json:"wideLayout"`
	Text          *textSizes    `json:"text,omitempty"`
}

// textSizes are in pixels, 0 as big as there is room for.
type textSizes struct {
	TitleSize int `json:"titleSize,omitempty"`
	ValueSize int `json:"valueSize,omitempty"`
}

// stat shows big numbers: of each series the value that calc makes of it, "sum" or
// "lastNotNull".
func stat(title, description, calc string, w, h int) panel {
	p := newPanel("stat", title, description, w, h)
	p.Options = statOptions{
		ReduceOptions: reduceOptions{Calcs: []string{calc}}, ColorMode: "value", GraphMode: "none", JustifyMode: "auto", Orientation: "auto",
		TextMode: "auto", WideLayout: true,
	}
	return p.colored(listened)
}

// spark draws the series of a stat below its number.
func (p panel) spark() panel {
	options := p.Options.(statOptions)
	options.GraphMode = "area"
	p.Options = options
	return p
}

// words makes a stat show what is no number: the last text or time of a field, whose name
// is a regular expression.
func (p panel) words(field string) panel {
	options := p.Options.(statOptions)
	options.ReduceOptions.Fields, options.ReduceOptions.Calcs = "/^"+field+"$/", []string{"lastNotNull"}
	p.Options = options
	return p
}

// rows makes a stat or bar gauge show every row of a table; fields is a
// regular expression of those that are values.
func (p panel) rows(fields string) panel {
	reduce := reduceOptions{Calcs: []string{}, Fields: fields, Values: true, Limit: 100}
	switch options := p.Options.(type) {
	case statOptions:
		options.ReduceOptions = reduce
		p.Options = options
	case bargaugeOptions:
		options.ReduceOptions = reduce
		p.Options = options
	}
	return p.texts()
}

// sized gives the values of a stat a size, in pixels: what has two lines is drawn as if it had
// one.
func (p panel) sized(pixels int) panel {
	options := p.Options.(statOptions)
	options.Text = &textSizes{ValueSize: pixels}
	p.Options = options
	return p
}

// background colors the whole of a stat, evenly: on a light ground white text cannot be read on
// the lighter end of a gradient.
func (p panel) background() panel {
	options := p.Options.(statOptions)
	options.ColorMode = "background_solid"
	p.Options = options
	return p
}

type legendOptions struct {
	ShowLegend  bool     `json:"showLegend"`
	DisplayMode string   `json:"displayMode"`
	Placement   string   `json:"placement"`
	Calcs       []string `json:"calcs"`
}

type tooltipOptions struct {
	Mode       string `json:"mode"`
	Sort       string `json:"sort"`
	YHistogram bool   `json:"yHistogram,omitempty"` // of a heatmap
}

var (
	noLegend     = legendOptions{DisplayMode: "list", Placement: "bottom", Calcs: []string{}}
	bottomLegend = legendOptions{ShowLegend: true, DisplayMode: "list", Placement: "bottom", Calcs: []string{}}
)

type timeseriesOptions struct {
	Legend  legendOptions  `json:"legend"`
	Tooltip tooltipOptions `json:"tooltip"`
}

type stacking struct {
	Mode  string `json:"mode"` // none, normal, percent
	Group string `json:"group"`
}

type hideFrom struct {
	Legend  bool `json:"legend"`
	Tooltip bool `json:"tooltip"`
	Viz     bool `json:"viz"`
}

// graphCustom is the part of a field that time series and bar charts have.
type graphCustom struct {
	DrawStyle         string   `json:"drawStyle,omitempty"`
	LineInterpolation string   `json:"lineInterpolation,omitempty"`
	LineWidth         int      `json:"lineWidth"`
	FillOpacity       int      `json:"fillOpacity"`
	GradientMode      string   `json:"gradientMode"`
	ShowPoints        string   `json:"showPoints,omitempty"`
	PointSize         int      `json:"pointSize,omitempty"`
	SpanNulls         bool     `json:"spanNulls,omitempty"`
	BarAlignment      int      `json:"barAlignment"`
	BarWidthFactor    float64  `json:"barWidthFactor,omitempty"`
	Stacking          stacking `json:"stacking"`
	AxisPlacement     string   `json:"axisPlacement"`
	AxisLabel         string   `json:"axisLabel"`
	AxisBorderShow    bool     `json:"axisBorderShow"`
	AxisSoftMax       *float64 `json:"axisSoftMax,omitempty"`
}

// lines draws series over time.
func lines(title, description string, w, h int) panel {
	p := newPanel("timeseries", title, description, w, h)
	p.Options = timeseriesOptions{bottomLegend, tooltipOptions{Mode: "multi", Sort: "desc"}}
	return p.change(func(f *field) {
		f.Color = &color{Mode: "palette-classic"}
		f.Custom = graphCustom{
			DrawStyle: "line", LineInterpolation: "linear", LineWidth: 2, FillOpacity: 0, GradientMode: "none", ShowPoints: "never",
			Stacking: stacking{"none", "A"}, AxisPlacement: "auto",
		}
	})
}

// bars draws series over time as bars, each from its time on.
func bars(title, description string, w, h int) panel {
	return lines(title, description, w, h).from(0).custom(func(c *graphCustom) {
		c.DrawStyle, c.LineWidth, c.FillOpacity, c.BarAlignment, c.BarWidthFactor = "bars", 0, 80, 1, 0.85
	})
}

// custom changes how series are drawn.
func (p panel) custom(f func(*graphCustom)) panel {
	return p.change(func(d *field) {
		c := d.Custom.(graphCustom)
		f(&c)
		d.Custom = c
	})
}

// stacked puts series on top of each other, mode "normal" or "percent".
func (p panel) stacked(mode string) panel {
	return p.custom(func(c *graphCustom) { c.Stacking.Mode = mode })
}

// legend shows or hides the legend.
func (p panel) legend(l legendOptions) panel {
	switch options := p.Options.(type) {
	case timeseriesOptions:
		options.Legend = l
		p.Options = options
	case barchartOptions:
		options.Legend = l
		p.Options = options
	case timelineOptions:
		options.Legend = l
		p.Options = options
	}
	return p
}

type barchartOptions struct {
	Orientation        string         `json:"orientation"`
	XField             string         `json:"xField"`
	XTickLabelRotation int            `json:"xTickLabelRotation"`
	XTickLabelSpacing  int            `json:"xTickLabelSpacing"`
	ShowValue          string         `json:"showValue"`
	Stacking           string         `json:"stacking"`
	GroupWidth         float64        `json:"groupWidth"`
	BarWidth           float64        `json:"barWidth"`
	BarRadius          float64        `json:"barRadius"`
	FullHighlight      bool           `json:"fullHighlight"`
	Legend             legendOptions  `json:"legend"`
	Tooltip            tooltipOptions `json:"tooltip"`
}

// barchart draws the number fields of a table as bars over its text field x. Where there
// is no room for all texts it leaves some out; without a spacing they are on top of each
// other.
func barchart(title, description, x string, w, h int) panel {
	p := newPanel("barchart", title, description, w, h)
	p.Options = barchartOptions{
		Orientation: "vertical", XField: x, XTickLabelSpacing: 40, ShowValue: "never", Stacking: "none", GroupWidth: 0.8, BarWidth: 0.9, BarRadius: 0.1,
		Legend: noLegend, Tooltip: tooltipOptions{Mode: "multi", Sort: "none"},
	}
	return p.from(0).colored(listened).texts().change(func(f *field) {
		f.Custom = graphCustom{LineWidth: 0, FillOpacity: 85, GradientMode: "none", Stacking: stacking{"none", "A"}, AxisPlacement: "auto"}
	})
}

type bargaugeOptions struct {
	DisplayMode   string        `json:"displayMode"`
	Orientation   string        `json:"orientation"`
	ReduceOptions reduceOptions `json:"reduceOptions"`
	ShowUnfilled  bool          `json:"showUnfilled"`
	ValueMode     string        `json:"valueMode"`
	NamePlacement string        `json:"namePlacement"`
	Sizing        string        `json:"sizing"`
	MinVizWidth   int           `json:"minVizWidth"`
	MinVizHeight  int           `json:"minVizHeight"`
	MaxVizHeight  int           `json:"maxVizHeight"`
	Text          textSizes     `json:"text"`
}

// bargauge draws a bar for each row of a table: fields is a regular expression of the
// values. Numbers are in the text's color, since small ones of a scheme cannot be read. Texts
// have a size: Grafana gives those of a single bar so big a one that they are cut off.
func bargauge(title, description, fields string, w, h int) panel {
	p := newPanel("bargauge", title, description, w, h)
	p.Options = bargaugeOptions{
		DisplayMode: "gradient", Orientation: "horizontal", ValueMode: "text", NamePlacement: "left", Sizing: "manual",
		MinVizWidth: 8, MinVizHeight: 16, MaxVizHeight: 40, Text: textSizes{TitleSize: 14, ValueSize: 16},
	}
	return p.rows(fields).from(0).colored(listened)
}

type tableOptions struct {
	ShowHeader bool   `json:"showHeader"`
	CellHeight string `json:"cellHeight"`
	// MaxRowHeight, in pixels, is where a text that is wrapped is cut off; before Grafana 13
	// it is not.
	MaxRowHeight int      `json:"maxRowHeight"`
	SortBy       []sortBy `json:"sortBy,omitempty"`
}

type sortBy struct {
	DisplayName string `json:"displayName"`
	Desc        bool   `json:"desc"`
}

type tableCustom struct {
	Align       string `json:"align"`
	CellOptions any    `json:"cellOptions"`
	Filterable  bool   `json:"filterable"`
	MinWidth    int    `json:"minWidth"` // of columns without a width
}

// narrowest is the least width of a column, in pixels: Grafana draws it that wide
// whatever is asked for, and then the last column does not fit any more.
const narrowest = 50

// cellType is what a table's cell looks like.
type cellType struct {
	Type             string `json:"type"`                       // auto, image, gauge, color-background, color-text, sparkline
	Mode             string `json:"mode,omitempty"`             // of gauge and color-background
	ValueDisplayMode string `json:"valueDisplayMode,omitempty"` // of gauge
}

// table shows rows. Its text for no rows is not for an empty cell, and no address of a
// picture.
func table(title, description string, w, h int) panel {
	p := newPanel("table", title, description, w, h)
	p.Options = tableOptions{ShowHeader: true, CellHeight: "sm", MaxRowHeight: 2*22 + 12}
	return p.change(func(f *field) {
		f.Color = &color{"fixed", listened} // of bars in cells
		f.Custom = tableCustom{Align: "auto", CellOptions: cellType{Type: "auto"}, MinWidth: 100}
	}).override(matcher{"byRegexp", "/.*/"}, property{"noValue", ""}).texts()
}

// slim lets the columns without a width be so narrow that the table fits a phone.
func (p panel) slim() panel {
	return p.change(func(f *field) {
		c := f.Custom.(tableCustom)
		c.MinWidth = 60
		f.Custom = c
	})
}

// cells sets the height of a table's rows: sm, md or lg.
func (p panel) cells(height string) panel {
	options := p.Options.(tableOptions)
	options.CellHeight = height
	p.Options = options
	return p
}

type heatmapColor struct {
	Mode     string  `json:"mode"`
	Fill     string  `json:"fill"`
	Scale    string  `json:"scale"`
	Exponent float64 `json:"exponent"`
	Steps    int     `json:"steps"`
	Min      float64 `json:"min"`
}

type heatmapOptions struct {
	Calculate bool         `json:"calculate"`
	CellGap   int          `json:"cellGap"`
	Color     heatmapColor `json:"color"`
	YAxis     struct {
		AxisPlacement string `json:"axisPlacement"`
		Reverse       bool   `json:"reverse"`
		Unit          string `json:"unit"`
	} `json:"yAxis"`
	RowsFrame struct {
		Layout string `json:"layout"`
		Value  string `json:"value"`
	} `json:"rowsFrame"`
	CellValues struct {
		Unit     string `json:"unit"`
		Decimals int    `json:"decimals"`
	} `json:"cellValues"`
	FilterValues struct {
		LE float64 `json:"le"`
	} `json:"filterValues"`
	Legend struct {
		Show bool `json:"show"`
	} `json:"legend"`
	Tooltip   tooltipOptions `json:"tooltip"`
	ShowValue string         `json:"showValue"`
}

// heatmap colors cells: its frame's first field, along the x axis, is a number or the time
// at which a cell ends, and each other number field is a row of cells, the first one on top.
// Names of the rows must not be numbers. The more, the less of the ground shines through, on
// a dark and on a light one; by the square root, so that one long day does not make all
// others look like none.
func heatmap(title, description, value, unit string, decimals, w, h int) panel {
	p := newPanel("heatmap", title, description, w, h)
	var options heatmapOptions
	options.CellGap = 2
	options.Color = heatmapColor{Mode: "opacity", Fill: listened, Scale: "exponential", Exponent: 0.5, Steps: 64}
	options.YAxis.AxisPlacement, options.YAxis.Reverse, options.YAxis.Unit = "left", true, "none"
	options.RowsFrame.Layout, options.RowsFrame.Value = "auto", value
	options.CellValues.Unit, options.CellValues.Decimals = unit, decimals
	options.FilterValues.LE = 1e-9
	options.Legend.Show = true
	options.Tooltip = tooltipOptions{Mode: "single"}
	options.ShowValue = "never"
	p.Options = options
	return p.unit(unit, decimals)
}

type timelineOptions struct {
	ShowValue   string         `json:"showValue"`
	RowHeight   float64        `json:"rowHeight"`
	MergeValues bool           `json:"mergeValues"`
	AlignValue  string         `json:"alignValue"`
	Legend      legendOptions  `json:"legend"`
	Tooltip     tooltipOptions `json:"tooltip"`
}

type timelineCustom struct {
	FillOpacity int `json:"fillOpacity"`
	LineWidth   int `json:"lineWidth"`
}

// stateTimeline draws what a state was, as long as it was that.
func stateTimeline(title, description string, w, h int) panel {
	p := newPanel("state-timeline", title, description, w, h)
	p.Options = timelineOptions{
		ShowValue: "auto", RowHeight: 0.8, MergeValues: true, AlignValue: "left", Legend: noLegend, Tooltip: tooltipOptions{Mode: "single"},
	}
	return p.change(func(f *field) { f.Custom = timelineCustom{80, 0} })
}

type gaugeOptions struct {
	ReduceOptions        reduceOptions `json:"reduceOptions"`
	Orientation          string        `json:"orientation"`
	ShowThresholdLabels  bool          `json:"showThresholdLabels"`
	ShowThresholdMarkers bool          `json:"showThresholdMarkers"`
	Sizing               string        `json:"sizing"`
}

// gauge shows the last value of each series within its bounds.
func gauge(title, description string, w, h int) panel {
	p := newPanel("gauge", title, description, w, h)
	p.Options = gaugeOptions{ReduceOptions: reduceOptions{Calcs: []string{"lastNotNull"}}, Orientation: "auto", ShowThresholdMarkers: true, Sizing: "auto"}
	return p
}
