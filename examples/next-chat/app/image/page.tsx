import { connection } from 'next/server';
import { models, worded } from '@/lib/gateway';
import { Problem } from '../problem';
import { Pictures } from './pictures';

export default async function Page() {
  await connection();
  const found = await models().catch((error: unknown) => `The gateway cannot be asked for its models: ${worded(error)}`);
  return typeof found === 'string' ? <Problem text={found} /> : <Pictures models={found.image} />;
}
