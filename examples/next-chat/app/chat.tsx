'use client';

import { useChat } from '@ai-sdk/react';
import { DefaultChatTransport, type UIMessage } from 'ai';
import { useEffect, useRef, useState, type KeyboardEvent } from 'react';
import type { Told } from '@/lib/told';
import { Problem } from './problem';
import { Receipt } from './receipt';

type Message = UIMessage<Told>;
/** The conversation outlives a reload, in this tab. */
const STORED = 'moegate-chat';

function stored(): Message[] {
  try {
    return JSON.parse(sessionStorage.getItem(STORED) ?? '[]') as Message[];
  } catch {
    return [];
  }
}

function Part({ part }: { part: Message['parts'][number] }) {
  if (part.type === 'text') return <p className="text">{part.text}</p>;
  if (part.type === 'reasoning') return <details className="aside"><summary>Thoughts</summary><p className="text">{part.text}</p></details>;
  if (!part.type.startsWith('tool-') || !('state' in part)) return null;
  const tool = part as { type: string; state: string; input?: unknown; output?: unknown; errorText?: string };
  return (
    <details className="aside" data-tool={tool.type.slice(5)}>
      <summary>{tool.type.slice(5)} {tool.output !== undefined ? 'was called' : tool.errorText ? 'failed' : 'is being called'}</summary>
      <pre>{JSON.stringify(tool.input, null, 2)}</pre>
      {tool.output !== undefined && <pre>{JSON.stringify(tool.output, null, 2)}</pre>}
      {tool.errorText && <p>{tool.errorText}</p>}
    </details>
  );
}

export function Chat({ models }: { models: string[] }) {
  const [model, setModel] = useState(models.includes('mock') ? 'mock' : models[0] ?? '');
  const [tools, setTools] = useState(true);
  const [input, setInput] = useState('');
  const [stopped, setStopped] = useState<string[]>([]);
  const end = useRef<HTMLDivElement>(null);
  const { messages, setMessages, sendMessage, regenerate, status, stop, error } = useChat<Message>({
    transport: new DefaultChatTransport({ api: '/api/chat' }),
  });
  const busy = status === 'submitted' || status === 'streaming';
  const body = { model, tools };

  useEffect(() => setMessages(stored()), [setMessages]);
  useEffect(() => {
    if (messages.length > 0) sessionStorage.setItem(STORED, JSON.stringify(messages));
    end.current?.scrollIntoView({ block: 'end' });
  }, [messages]);

  const send = () => {
    if (busy || input.trim() === '') return;
    void sendMessage({ text: input }, { body });
    setInput('');
  };
  const onKey = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };
  const halt = () => {
    const last = messages.at(-1);
    if (last) setStopped((ids) => [...ids, last.id]);
    void stop();
  };
  const clear = () => {
    sessionStorage.removeItem(STORED);
    setMessages([]);
  };

  return (
    <>
      <section className="log" role="log" aria-label="Conversation" aria-busy={busy}>
        {messages.length === 0 && (
          <div className="hint">
            <p>Ask something. With the stand-in provider (<code>mock</code>):</p>
            <ul>
              <li>“What is the weather in Rome?” calls a tool.</li>
              <li>“Tell me a long story.” leaves time to press Stop.</li>
              <li>The model <code>mock-fallback</code> fails at one origin and is answered by another; <code>mock-takeover</code> breaks off and is gone on with.</li>
            </ul>
          </div>
        )}
        {messages.map((message) => (
          <article key={message.id} className={message.role} data-role={message.role}>
            <h2 className="unseen">{message.role === 'user' ? 'You' : 'Answer'}</h2>
            {message.parts.map((part, index) => <Part key={index} part={part} />)}
            {message.role === 'assistant' && <Receipt told={message.metadata} stopped={stopped.includes(message.id)} />}
          </article>
        ))}
        {status === 'submitted' && <p className="waiting" role="status">Waiting for the answer…</p>}
        {error && <Problem text={error.message} onRetry={() => void regenerate({ body })} />}
        <div ref={end} />
      </section>
      <form className="composer" onSubmit={(event) => { event.preventDefault(); send(); }}>
        <label className="unseen" htmlFor="message">Message</label>
        <textarea id="message" rows={2} value={input} placeholder="Message" onChange={(event) => setInput(event.target.value)} onKeyDown={onKey} />
        <div className="row">
          <label>Model{' '}
            <select value={model} onChange={(event) => setModel(event.target.value)}>
              {models.map((id) => <option key={id}>{id}</option>)}
            </select>
          </label>
          <label><input type="checkbox" checked={tools} onChange={(event) => setTools(event.target.checked)} /> Tools</label>
          <span className="space" />
          <button type="button" onClick={clear} disabled={busy || messages.length === 0}>Clear</button>
          {busy
            ? <button type="button" className="main" onClick={halt}>Stop</button>
            : <button type="submit" className="main" disabled={input.trim() === ''}>Send</button>}
        </div>
      </form>
    </>
  );
}
