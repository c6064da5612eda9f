import { goldenCases } from "./golden-cases.ts";

goldenCases({ name: "engine" });
