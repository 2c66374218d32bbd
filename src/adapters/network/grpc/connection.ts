import { isIP } from 'node:net';
import { type ChannelOptions, Client, credentials } from '@grpc/grpc-js';
import { StepError } from '../../../lib/errors.ts';
import type { Address, Egress } from '../../../ports/egress.ts';
import type { Descriptors } from './descriptors.ts';
import type { Target } from './request.ts';

/** How long addresses of a name are believed. */
const addressesMs = 30_000;
const describedMs = 5 * 60_000;
const describedBytesMax = 16 * 1024 * 1024;

/** A channel to one target for one tenant, bound to addresses that the policy has allowed, and what the server said of its services. */
export class Connection {
  readonly #target: Target;
  readonly #egress: Egress;
  readonly #maxBytes: number;
  #current: { client: Client; addresses: string } | undefined;
  #checkedAt = Number.NEGATIVE_INFINITY;
  /** Moves when a connection fails, so that each address family has its turn. */
  #turn = 0;
  readonly #described = new Map<string, { descriptors: Descriptors; until: number }>();

  constructor(target: Target, egress: Egress, maxBytes: number) {
    this.#target = target;
    this.#egress = egress;
    this.#maxBytes = maxBytes;
  }

  /** The client, if its addresses are fresh. */
  ready(): Client | undefined {
    return Date.now() - this.#checkedAt < addressesMs ? this.#current?.client : undefined;
  }

  /** @throws StepError EGRESS_DENIED, HOST_NOT_FOUND, INVALID_PARAMS */
  async client(): Promise<Client> {
    const ready = this.ready();
    if (ready !== undefined) return ready;
    const addresses = await this.#addresses();
    this.#checkedAt = Date.now();
    if (this.#current?.addresses === addresses) return this.#current.client;
    // Calls that run go on; the channel closes behind them.
    this.#current?.client.close();
    const client = this.#open(addresses, this.#maxBytes);
    this.#current = { client, addresses };
    return client;
  }

  /** A client for one use, of which messages may be as large as descriptions. */
  async temporary(maxBytes: number): Promise<Client> {
    return this.#open(await this.#addresses(), maxBytes);
  }

  /** After a failure to connect: the next call looks the name up and connects anew, without waiting for the channel's own back-off. */
  renew(failed: Client): void {
    if (this.#current?.client !== failed) return;
    this.#current = undefined;
    this.#turn += 1;
    failed.close();
  }

  describedBefore(service: string): Descriptors | undefined {
    const known = this.#described.get(service);
    if (known !== undefined && known.until > Date.now()) return known.descriptors;
    this.#described.delete(service);
    return undefined;
  }

  remember(service: string, descriptors: Descriptors): void {
    this.#described.set(service, { descriptors, until: Date.now() + describedMs });
    let total = 0;
    for (const { descriptors: one } of this.#described.values()) total += one.sizeBytes;
    for (const [name, { descriptors: one }] of this.#described) {
      if (total <= describedBytesMax) return;
      total -= one.sizeBytes;
      this.#described.delete(name);
    }
  }

  async close(): Promise<void> {
    this.#current?.client.close();
    this.#current = undefined;
  }

  /** A target of grpc-js that names addresses, so that it resolves nothing itself. */
  async #addresses(): Promise<string> {
    const { host, port, secure } = this.#target;
    const all = await this.#egress.addresses({ scheme: secure ? 'grpcs' : 'grpc', host, port }, 'public');
    const families = [...new Set(all.map(({ family }) => family))];
    const family = families[this.#turn % families.length] ?? 4;
    const usable = all.filter((one) => one.family === family && !one.address.includes('%'));
    if (usable.length === 0)
      throw new StepError('HOST_NOT_FOUND', `the host ${host} has no address`, { retryable: true });
    return `ipv${family}:${usable
      .map((one) => endpoint(one, port))
      .sort()
      .join(',')}`;
  }

  #open(addresses: string, maxBytes: number): Client {
    const { authority, host, secure, tls } = this.#target;
    const options: ChannelOptions = {
      'grpc.default_authority': authority,
      'grpc.max_receive_message_length': maxBytes,
      'grpc.max_send_message_length': -1,
      'grpc.enable_http_proxy': 0,
      'grpc.service_config_disable_resolution': 1,
      'grpc.enable_retries': 0,
      // Connections of one tenant are not another's.
      'grpc.use_local_subchannel_pool': 1,
      'grpc.enable_channelz': 0,
      ...(secure ? { 'grpc.ssl_target_name_override': tls.server_name ?? host } : {}),
    };
    return new Client(addresses, secure ? this.#credentials() : credentials.createInsecure(), options);
  }

  #credentials(): ReturnType<typeof credentials.createSsl> {
    const { cert, key, ca } = this.#target.tls;
    const bytes = (text: string | undefined): Buffer | null => (text === undefined ? null : Buffer.from(text));
    try {
      return credentials.createSsl(bytes(ca), bytes(key), bytes(cert));
    } catch {
      // OpenSSL's text may quote the key.
      throw new StepError(
        'INVALID_PARAMS',
        'params.tls: cert, key and ca must be PEM, and the key must fit the certificate',
      );
    }
  }
}

const endpoint = ({ address }: Address, port: number): string =>
  isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
