/** Development only, never shipped: the households that the fake worker plays, by the name of the scene. */

import type { Camera, Device, Member } from '../sdk/generated/face.ts';

const hour = 3_600_000;
const now = Date.now();

/** Ids that scenes and pages name. */
export const ids = {
  me: 'bWUtYWRtaW4',
  door: 'ZnJvbnQtZG9vcg',
  garden: 'Z2FyZGVu',
  tablet: 'dGFibGV0',
  guest: 'Z3Vlc3Q',
};

const device = (id: string, name: string, role: Device['role'], more: Partial<Device> = {}): Device => ({
  id,
  name,
  role,
  rights: role === 'camera' ? [] : ['see'],
  cameras: null,
  since: now - 400 * hour,
  ends: null,
  this: false,
  ...more,
});

/** Names as people give them: long, without a space, from right to left, with pictures. */
const HARD = [
  'Behind the greenhouse, second path from the old water pump',
  'Donaudampfschifffahrtsgesellschaftskapitänskajüte',
  'כניסה ראשית (ליד השער)',
  'المدخل الخلفي',
  '🐈‍⬛ Cat flap 🚪',
  '玄関のカメラ',
  'Hall',
  'Cellar',
  'Bicycles',
  'Baby',
];

/** The devices of the scene's household. */
export function devicesOf(scene: string): Device[] {
  const many = scene === 'many';
  const guests = many ? [ids.door, ids.garden, ...HARD.map((_, index) => `Y2Ft${index}`)] : [ids.garden];
  const all = [
    device(
      ids.me,
      'Ada’s laptop',
      scene === 'viewer' ? 'viewer' : scene === 'owncamera' ? 'camera' : 'admin',
      { this: true },
    ),
    device(ids.door, many ? HARD[0]! : 'Front door', 'camera'),
    device(ids.garden, 'Garden, behind the shed', 'camera'),
    device(ids.tablet, many ? 'לוח המטבח של סבתא' : 'Kitchen tablet', 'viewer'),
    device(ids.guest, 'Grandma', 'guest', { cameras: guests, ends: now + 100 * hour }),
    ...(many ? HARD.map((name, index) => device(`Y2Ft${index}`, name, 'camera')) : []),
  ];
  return scene === 'removed' ? all.filter((one) => !one.this) : all;
}

/** The cameras of the scene's household: of the first it is known that they send, or that they do not. */
export function camerasOf(scene: string): Camera[] {
  if (scene === 'nocamera') return [];
  return devicesOf(scene)
    .filter((one) => one.role === 'camera')
    .slice(0, scene === 'onecamera' ? 1 : undefined)
    .map(({ id, name }, index) => ({ id, name, live: index === 3 ? null : index !== 1 }));
}

/** This device, as the scene's household knows it. */
export function memberOf(scene: string): Member {
  return {
    household: 'Yj0kVfQ2nS8mJr1xT5uLwA',
    device: ids.me,
    name: 'Ada’s laptop',
    role: devicesOf(scene).find((one) => one.this)?.role ?? null,
    server: 'https://cameras.example.org',
  };
}
