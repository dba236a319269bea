/** What the gateway says of an answer. All of it may be missing, of one that was stopped for instance. */
export type Told = {
  /** Names the request in the gateway's records (`GET /usage/export`). */
  requestId?: string;
  /** Who answered, and under which name of the model. */
  origin?: string;
  model?: string;
  /** Calls to origins that the answer took, over all steps of a tool loop. */
  attempts?: number;
  /** US dollars, over all steps. */
  cost?: number;
};
