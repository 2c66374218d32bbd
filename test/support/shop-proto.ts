/** A service with everything that matters for the JSON form of messages, and for calls. */
export const shopProto = `syntax = "proto3";
package shop.v1;

import "google/protobuf/any.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/empty.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";

option java_package = "com.example.shop";

// Calls of every kind.
service Orders {
  rpc Echo(Everything) returns (Everything);
  rpc Get(OrderId) returns (Order) { option idempotency_level = NO_SIDE_EFFECTS; }
  rpc Place(Order) returns (OrderId);
  rpc Watch(WatchRequest) returns (stream Order) {}
  rpc Import(stream Order) returns (ImportSummary);
  rpc Chat(stream Order) returns (stream Order);
  rpc Times(google.protobuf.Empty) returns (stream google.protobuf.Timestamp);
}

message OrderId { string id = 1; }
message WatchRequest { int32 count = 1; int32 size = 2; string mode = 3; }
message ImportSummary { int32 count = 1; int64 total = 2; }

message Order {
  string id = 1;
  int64 total_cents = 2;
  repeated Line lines = 3;
  message Line { string sku = 1; uint32 quantity = 2; }
}

enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; COLOR_BLUE = 5; COLOR_NEGATIVE = -1; }

message Everything {
  double d = 1;
  float f = 2;
  int32 i32 = 3;
  int64 i64 = 4;
  uint32 u32 = 5;
  uint64 u64 = 6;
  sint32 s32 = 7;
  sint64 s64 = 8;
  fixed32 x32 = 9;
  fixed64 x64 = 10;
  sfixed32 sx32 = 11;
  sfixed64 sx64 = 12;
  bool flag = 13;
  string text = 14;
  bytes data = 15;
  Color color = 16;
  Everything child = 17;
  repeated int32 numbers = 18;
  repeated string texts = 19;
  repeated Color colors = 20 [packed = false];
  repeated Everything children = 21;
  map<string, int64> counts = 22;
  map<int32, string> names = 23;
  map<bool, Order> orders = 24;
  optional int32 maybe = 25;
  oneof choice {
    string left = 26;
    int64 right = 27;
    Order order = 28;
  }
  google.protobuf.Timestamp at = 29;
  google.protobuf.Duration lasts = 30;
  google.protobuf.Struct anything = 31;
  google.protobuf.Value value = 32;
  google.protobuf.ListValue list = 33;
  google.protobuf.FieldMask mask = 34;
  google.protobuf.Any any = 35;
  google.protobuf.Int64Value big = 36;
  google.protobuf.StringValue word = 37;
  google.protobuf.BoolValue yes = 38;
  google.protobuf.Empty nothing = 39;
  string renamed = 40 [json_name = "otherName", deprecated = true];
  string snake_case_name = 41;
  reserved 100 to 110, 120;
  reserved "gone";
}
`;
