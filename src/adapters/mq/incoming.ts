import type { JSONObject } from '../../lib/json.ts';
import { decodeBody } from './bodies.ts';
import type { Decoded, Delivery } from './broker.ts';

const maxDeliveriesDefault = 5;

/** What the receiver decides on, of the params of `mq_consume`. */
export interface Reading {
  /** Instead of what the message itself says. */
  contentType: string | undefined;
  maxDeliveries: number;
}

export const readingOf = ({ content_type, max_deliveries }: JSONObject): Reading => ({
  contentType: typeof content_type === 'string' ? content_type : undefined,
  maxDeliveries: typeof max_deliveries === 'number' ? max_deliveries : maxDeliveriesDefault,
});

/** A message to work on, or the reason why nobody can. */
export type Read = { message: Decoded; delivery: JSONObject & { id: string } } | { poison: string };

export function read(delivery: Delivery, { contentType, maxDeliveries }: Reading): Read {
  if (delivery.deliveriesBefore >= maxDeliveries)
    return { poison: `it was delivered ${delivery.deliveriesBefore} times, and no one acknowledged it` };
  const decoded = decodeBody(delivery.body, contentType ?? delivery.contentType);
  if ('undecodable' in decoded) return { poison: decoded.undecodable };
  return { message: decoded.message, delivery: describe(delivery) };
}

/** A delivery as an element of `deliveries` in the output. */
function describe({ id, contentType, headers, properties, deliveriesBefore }: Delivery): JSONObject & { id: string } {
  return {
    id,
    ...(contentType === undefined ? {} : { content_type: contentType }),
    headers,
    properties,
    deliveries_before: deliveriesBefore,
    redelivered: deliveriesBefore > 0,
  };
}
