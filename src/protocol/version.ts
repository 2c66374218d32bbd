/** Version of the messages between nodes. A hello carries the range that a node speaks. */
export const protocolVersion = 1;
export const protocolVersionMin = 1;

/** Version of JSONFlow itself, as in package.json (a test keeps them equal). */
export const productVersion = '0.1.0';
