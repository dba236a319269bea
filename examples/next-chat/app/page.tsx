import { connection } from 'next/server';
import { models, worded } from '@/lib/gateway';
import { Chat } from './chat';
import { Problem } from './problem';

export default async function Page() {
  await connection();
  const found = await models().catch((error: unknown) => `The gateway cannot be asked for its models: ${worded(error)}`);
  return typeof found === 'string' ? <Problem text={found} /> : <Chat models={found.chat} />;
}
