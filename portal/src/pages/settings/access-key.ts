// What an AWS SDK needs to talk to this installation: a profile for ~/.aws/config, with its own name so that no other is touched.
export function credentialsFile(keyId: string, secret: string, origin: string): string {
  return ['[profile motorcade]', `aws_access_key_id = ${keyId}`, `aws_secret_access_key = ${secret}`, 'region = local', `endpoint_url = ${origin}/aws`, ''].join('\n')
}
