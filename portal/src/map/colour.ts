// MapLibre and WebGL know sRGB only; the tokens are oklch. The browser itself converts: it paints one pixel.
let pen: CanvasRenderingContext2D | null | undefined
export type Rgba = [number, number, number, number]

export function token(name: string): Rgba {
  pen ??= Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true })
  if (!pen) return [128, 128, 128, 255]
  pen.clearRect(0, 0, 1, 1)
  pen.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim()
  pen.fillRect(0, 0, 1, 1)
  const [r = 0, g = 0, b = 0, a = 255] = pen.getImageData(0, 0, 1, 1).data
  return [r, g, b, a]
}

export function tokenText(name: string): string {
  const [r, g, b] = token(name)
  return `rgb(${r},${g},${b})`
}

export function tokenUnit(name: string): [number, number, number] {
  const [r, g, b] = token(name)
  return [r / 255, g / 255, b / 255]
}
