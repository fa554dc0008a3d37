// SPDX-License-Identifier: GPL-2.0-or-later
// A dashboard as JSON: Grafana's own types, with enums as the strings that JSON has, the options
// of each kind of panel, and the fields that the Prometheus data source adds to an annotation.
import type { AnnotationQuery, Dashboard, Panel, RowPanel } from "./node_modules/@grafana/schema/dist/types/raw/dashboard/x/types.gen";
import type { Options as Gauge } from "./node_modules/@grafana/schema/dist/types/raw/composable/gauge/panelcfg/x/types.gen";
import type { Options as Stat } from "./node_modules/@grafana/schema/dist/types/raw/composable/stat/panelcfg/x/types.gen";
import type { Options as Table } from "./node_modules/@grafana/schema/dist/types/raw/composable/table/panelcfg/x/types.gen";
import type { Options as TimeSeries } from "./node_modules/@grafana/schema/dist/types/raw/composable/timeseries/panelcfg/x/types.gen";

type Plain<T> = T extends string ? `${T}` : T extends readonly (infer U)[] ? Plain<U>[] :
	T extends object ? { [K in keyof T]: Plain<T[K]> } : T;
type Kind<Name extends string, Options> =
	Omit<Plain<Panel>, "type" | "options"> & { type: Name; options: Partial<Plain<Options>> };
type OnePanel = Kind<"timeseries", TimeSeries> | Kind<"stat", Stat> | Kind<"gauge", Gauge> |
	Kind<"table", Table>;
type Row = Omit<Plain<RowPanel>, "panels"> & { panels: OnePanel[] };
type PrometheusAnnotation = Plain<AnnotationQuery> &
	{ expr: string; titleFormat: string; textFormat: string; step: string };

export type DashboardJson = Omit<Plain<Dashboard>, "annotations" | "panels"> & {
	annotations: { list: PrometheusAnnotation[] };
	panels: (OnePanel | Row)[];
};
