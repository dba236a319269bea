'use client';

import Link from 'next/link';
import { usePathname } from 'next/navigation';

const PAGES = [['/', 'Chat'], ['/object', 'Object'], ['/image', 'Image']] as const;

export function Navigation() {
  const path = usePathname();
  return (
    <nav aria-label="Pages">
      {PAGES.map(([href, name]) => (
        <Link key={href} href={href} aria-current={path === href ? 'page' : undefined}>{name}</Link>
      ))}
    </nav>
  );
}
