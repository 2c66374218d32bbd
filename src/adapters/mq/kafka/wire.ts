/** Parts of Kafka's responses that are read here, as the client parses them. The client keeps these types to itself. */
export interface MetadataResponse {
  brokers: { nodeId: number; host: string; port: number }[];
  clusterId: string | null;
  controllerId: number;
  topics: {
    errorCode: number;
    name: string | null;
    topicId: string;
    partitions: { partitionIndex: number; leaderId: number; replicaNodes: number[] }[];
  }[];
}

export interface DescribeConfigsResponse {
  results: { configs: { name: string; value: string | null }[] }[];
}

export interface ListOffsetsResponse {
  topics: { partitions: { partitionIndex: number; offset: bigint }[] }[];
}

export interface DeleteRecordsResponse {
  topics: { partitions: { partitionIndex: number; lowWatermark: bigint }[] }[];
}

export interface JoinGroupResponse {
  generationId: number;
  protocolName: string | null;
  leader: string;
  memberId: string;
  members: { memberId: string; metadata: Buffer }[];
}

export interface SyncGroupResponse {
  assignment: Buffer;
}

export interface OffsetFetchResponse {
  groups: {
    topics: {
      name: string;
      partitions: { partitionIndex: number; committedOffset: bigint; metadata: string | null }[];
    }[];
  }[];
}

export interface FetchedPartition {
  partitionIndex: number;
  errorCode: number;
  abortedTransactions: { producerId: bigint; firstOffset: bigint }[] | null;
  records?: RecordsBatch[] | null;
}

export interface RecordsBatch {
  firstOffset: bigint;
  attributes: number;
  lastOffsetDelta: number;
  firstTimestamp: bigint;
  producerId: bigint;
  records: KafkaRecord[];
}

interface KafkaRecord {
  timestampDelta: bigint;
  offsetDelta: number;
  key: Buffer | null;
  value: Buffer | null;
  headers: [Buffer | null, Buffer | null][];
}

export interface FetchResponse {
  responses: { topicId: string; partitions: FetchedPartition[] }[];
}
