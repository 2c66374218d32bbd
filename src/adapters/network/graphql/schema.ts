import type { JSONObject } from '../../../lib/json.ts';
import { authSchema, headersSchema, httpOptions, text, tlsSchema, urlSchema, whole } from '../http/schema.ts';

const path = (description: string): JSONObject => text(description, 1024);

/** Params of `network_graphql`; the reference for docs/adapters/network-graphql.md. */
export const graphqlSchema: JSONObject = {
  type: 'object',
  properties: {
    url: urlSchema,
    query: text('The document: queries and mutations, with their fragments.', 1_048_576),
    variables: { type: 'object', description: 'Values of the variables of the operation.' },
    operation_name: text('Which operation of the document to run, where it has several.', 512),
    headers: headersSchema,
    auth: authSchema,
    tls: tlsSchema,
    options: {
      type: 'object',
      description: 'How to send.',
      properties: {
        ...httpOptions,
        persisted: {
          type: 'boolean',
          description:
            'Automatic persisted queries: sends the SHA-256 of the document first (queries by GET), and the document only where the server does not know it. Default false.',
        },
      },
      additionalProperties: false,
    },
    expect: {
      type: 'object',
      description: 'What counts as an answer.',
      properties: {
        errors: {
          enum: ['fail', 'allow'],
          description: 'With `allow`, data with errors beside it is an answer. Without data it is never. Default fail.',
        },
      },
      additionalProperties: false,
    },
    pagination: {
      type: 'object',
      description: 'Asks for one page after the other and joins their items. For queries.',
      properties: {
        items: path('Path of the list below data, such as repository.issues.nodes.'),
        cursor: path('Path of the cursor for the next page, such as repository.issues.pageInfo.endCursor.'),
        has_next: path('Path of what says whether there is another page. Default: there is, while there is a cursor.'),
        variable: text('Variable that takes the cursor. Default after.', 256),
        max_pages: whole(1, 100_000, 'Pages to ask for at most. Default 100.'),
        max_inline: whole(0, 1_000_000, 'Items that the output holds itself; more are stored. Default 10,000.'),
      },
      required: ['items', 'cursor'],
      additionalProperties: false,
    },
  },
  required: ['url', 'query'],
  additionalProperties: false,
};
