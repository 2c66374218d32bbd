import { kafka } from './kafka.ts';
import { mariadb } from './mariadb.ts';
import { mongodb } from './mongodb.ts';
import type { ServiceName } from './names.ts';
import { nats } from './nats.ts';
import { postgres } from './postgres.ts';
import { rabbitmq } from './rabbitmq.ts';
import type { Recipe } from './recipe.ts';
import { redis } from './redis.ts';

export const recipes: Readonly<Record<ServiceName, Recipe>> = {
  postgres,
  mysql: mariadb,
  redis,
  rabbitmq,
  nats,
  kafka,
  mongodb,
};
