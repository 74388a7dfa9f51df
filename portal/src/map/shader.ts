// The vehicle shapes. Instances carry the last two reports; the vertex shader moves between them and stops at the newer.
export const vertexSource = `#version 300 es
precision highp float;
uniform mat4 u_matrix;      // anchor-relative mercator to clip space
uniform vec2 u_pixel;       // size of one pixel in clip space
uniform float u_now;        // seconds since the layer was made
uniform float u_radius;     // pixels
uniform float u_bearing;    // of the map, radians
layout(location = 0) in vec2 a_corner;
layout(location = 1) in vec4 a_way;     // from x, y; to x, y
layout(location = 2) in vec4 a_turn;    // t0, t1, heading from, heading to (radians; below -100: unknown)
layout(location = 3) in vec2 a_look;    // status, flags
out vec2 v_at;              // upright, in radii
out vec2 v_turned;          // with the heading, in radii
flat out float v_status;
flat out float v_flags;
flat out float v_headed;
void main() {
  float flags = a_look.y;
  if (mod(flags, 8.0) >= 4.0) { gl_Position = vec4(2.0, 2.0, 2.0, 1.0); return; }
  float span = a_turn.y - a_turn.x;
  float part = span > 0.0 ? clamp((u_now - a_turn.x) / span, 0.0, 1.0) : 1.0;
  vec4 at = u_matrix * vec4(mix(a_way.xy, a_way.zw, part), 0.0, 1.0);
  float grown = mod(flags, 4.0) >= 1.0 ? 1.18 : 1.0;
  float reach = 1.9;
  v_at = a_corner * reach;
  float heading = mix(a_turn.z, a_turn.w, part) - u_bearing;
  v_headed = a_turn.w > -100.0 ? 1.0 : 0.0;
  float s = sin(heading), c = cos(heading);
  v_turned = v_headed > 0.5 ? vec2(c * v_at.x - s * v_at.y, s * v_at.x + c * v_at.y) : v_at;
  v_status = a_look.x;
  v_flags = flags;
  gl_Position = at + vec4(a_corner * reach * u_radius * grown * u_pixel * at.w, 0.0, 0.0);
}`

export const fragmentSource = `#version 300 es
precision highp float;
uniform vec3 u_colour[7];   // unknown, moving, idle, parked, offline, late, accent
uniform vec3 u_edge;
uniform float u_radius;
in vec2 v_at;
in vec2 v_turned;
flat in float v_status;
flat in float v_flags;
flat in float v_headed;
out vec4 colour;
float chevron(vec2 p, float k) {
  p = vec2(abs(p.x), p.y) / k;
  float outer = dot(p - vec2(0.0, 1.12), normalize(vec2(1.95, 0.8)));
  float notch = dot(p - vec2(0.0, -0.38), normalize(vec2(-0.38, -0.8)));
  return max(outer, notch) * k;
}
float triangle(vec2 p) {
  p.x = abs(p.x);
  return max(dot(p - vec2(0.0, 1.02), normalize(vec2(1.75, 0.98))), -p.y - 0.72);
}
void main() {
  int status = int(v_status + 0.5);
  float d;
  if (status == 1) d = v_headed > 0.5 ? chevron(v_turned, 1.0) : length(v_at) - 0.7;
  else if (status == 2) { d = abs(length(v_at) - 0.74) - 0.17; if (v_headed > 0.5) d = min(d, chevron(v_turned, 0.5)); }
  else if (status == 3) d = length(v_at) - 0.6;
  else if (status == 4) d = abs(length(v_at) - 0.56) - 0.13;
  else if (status == 5) d = triangle(v_at);
  else d = length(v_at) - 0.36;
  float soft = 0.75 / u_radius;
  float fill = 1.0 - smoothstep(-soft, soft, d);
  float rim = 1.0 - smoothstep(-soft, soft, d - 1.6 / u_radius);
  vec3 inner = u_colour[status];
  vec4 shape = vec4(mix(u_edge, inner, fill), max(fill, rim * 0.95));
  if (status == 4 || status == 2) {   // hollow shapes get a filled ground so that the map does not show through
    float ground = 1.0 - smoothstep(-soft, soft, length(v_at) - (status == 4 ? 0.62 : 0.9));
    shape = vec4(mix(u_edge, inner, fill), max(shape.a, ground * 0.95));
  }
  if (mod(v_flags, 4.0) >= 1.0) {     // selected or hovered: the ring
    bool selected = mod(v_flags, 2.0) >= 1.0;
    float ring = abs(length(v_at) - 1.52) - (selected ? 0.13 : 0.07);
    float r = 1.0 - smoothstep(-soft, soft, ring);
    float under = 1.0 - smoothstep(-soft, soft, ring - 1.3 / u_radius);
    vec4 circle = vec4(mix(u_edge, u_colour[6], r), max(r, under * 0.8));
    shape = mix(circle, vec4(shape.rgb, 1.0), shape.a) ;
    shape.a = max(shape.a, circle.a);
  }
  if (shape.a < 0.01) discard;
  colour = vec4(shape.rgb * shape.a, shape.a);
}`
