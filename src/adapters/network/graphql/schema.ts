import { fields, flag, object, text, whole } from '../../../kit/schema.ts';
import type { JSONObject } from '../../../lib/json.ts';
import { authSchema, headersSchema, httpOptions, tlsSchema, urlSchema } from '../http/schema.ts';

const path = (description: string): JSONObject => text(description, 1024);

/** Params of `network_graphql`; the reference for docs/adapters/network-graphql.md. */
export const graphqlSchema: JSONObject = fields(
  {
    url: urlSchema,
    query: text('The document: queries and mutations, with their fragments.', 1_048_576),
    variables: { type: 'object', description: 'Values of the variables of the operation.' },
    operation_name: text('Which operation of the document to run, where it has several.', 512),
    headers: headersSchema,
    auth: authSchema,
    tls: tlsSchema,
    options: object('How to send.', {
      ...httpOptions,
      persisted: flag(
        'Automatic persisted queries: sends the SHA-256 of the document first (queries by GET), and the document only where the server does not know it. Default false.',
      ),
    }),
    expect: object('What counts as an answer.', {
      errors: {
        enum: ['fail', 'allow'],
        description: 'With `allow`, data with errors beside it is an answer. Without data it is never. Default fail.',
      },
    }),
    pagination: object(
      'Asks for one page after the other and joins their items. For queries.',
      {
        items: path('Path of the list below data, such as repository.issues.nodes.'),
        cursor: path('Path of the cursor for the next page, such as repository.issues.pageInfo.endCursor.'),
        has_next: path('Path of what says whether there is another page. Default: there is, while there is a cursor.'),
        variable: text('Variable that takes the cursor. Default after.', 256),
        max_pages: whole('Pages to ask for at most. Default 100.', 1, 100_000),
        max_inline: whole('Items that the output holds itself; more are stored. Default 10,000.', 0, 1_000_000),
      },
      ['items', 'cursor'],
    ),
  },
  ['url', 'query'],
);
