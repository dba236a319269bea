import type { Metadata, Viewport } from 'next';
import type { ReactNode } from 'react';
import { Navigation } from './navigation';
import './globals.css';

export const metadata: Metadata = { title: 'moegate chat', description: 'A chat page in front of moegate' };
export const viewport: Viewport = { colorScheme: 'light dark' };

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body>
        <header>
          <h1>moegate</h1>
          <Navigation />
        </header>
        <main>{children}</main>
      </body>
    </html>
  );
}
